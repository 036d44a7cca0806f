"""Read any points file: a point json, a table, or the file of an annotation tool."""

import dataclasses
import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmp2seg.converters.point_formats import READERS, TABLES
from mmp2seg.converters.point_formats.reading import locate_images, relative_name
from mmp2seg.converters.point_formats.recognition import POINT_JSON, recognize_format
from mmp2seg.converters.point_json import (
    PointReport,
    SourceImage,
    assemble_point_json,
    parse_point_json,
)
from mmp2seg.datasets.coco_content import check_coco_content, check_image_sizes
from mmp2seg.files.image_folder import image_names, image_size
from mmp2seg.files.json_reading import read_json_object

_LISTS = ('images', 'categories', 'annotations')


def read_points(
    path: str | Path,
    images_folder: str | Path,
    *,
    classes: Sequence[str] | None = None,
    list_images: bool = False,
    skip_refused: bool = False,
    allow_empty: bool = False,
    options: Mapping[str, Any] | None = None,
) -> dict:
    """Read a points file of any format; see :func:`read_points_and_report`.

    Returns:
        dict: content of a point json.
    """
    content, _ = read_points_and_report(
        path,
        images_folder,
        classes=classes,
        list_images=list_images,
        skip_refused=skip_refused,
        allow_empty=allow_empty,
        options=options,
    )
    return content


def read_points_and_report(
    path: str | Path,
    images_folder: str | Path,
    *,
    classes: Sequence[str] | None = None,
    list_images: bool = False,
    skip_refused: bool = False,
    allow_empty: bool = False,
    options: Mapping[str, Any] | None = None,
) -> tuple[dict, PointReport]:
    """Read a points file of any format, check it, and count its points.

    The format is recognized by the content, see
    :func:`mmp2seg.converters.point_formats.recognition.recognize_format`. Every listed image has to
    be in ``images_folder``, with the size that the file states, if it states one; only the headers
    of the images are read.

    Args:
        path: a point json, a table (CSV or TSV, also of QuPath, ImageJ, makesense.ai, VIA or
            DeepForest), the XML of CVAT, a folder of LabelMe jsons, an export of Label Studio, or a
            COCO json with keypoints.
        images_folder: folder of the images; the names of the file are paths in this folder.
        classes: names of the K classes, in order; None = those of the json, or else the sorted
            names of the points without ``background``.
        list_images: append the images of the folder and its subfolders that the file does not list,
            as images without points. Names that start with a dot are no images.
        skip_refused: leave out points, shapes and images that cannot be used, and report them,
            instead of raising an error.
        allow_empty: read a file without a single point.
        options: further arguments of the format's ``read``, such as ``pixel_indices``.

    Returns:
        tuple: content of a point json, and its counts. A point json keeps its ids of images and
        annotations; without ``classes`` also those of the categories, and true masks and boxes.
        Other keys of it are dropped.

    Raises:
        FileNotFoundError: there is no such file or folder, or an image is missing.
        ValueError: the format is unknown or lacks an option, the file is malformed, lists no image
            or an image twice or outside the folder, or states another size; or, without
            ``skip_refused``, points are refused (see :func:`assemble_point_json`). The message
            names the file and the place. Also for a file without a point.
    """
    folder, options = Path(images_folder), dict(options or {})
    if not folder.is_dir():
        raise FileNotFoundError(f'{folder}: no such folder')
    name = recognize_format(
        path, image_key=options.get('image_key'), encoding=options.get('encoding')
    )
    category_ids: dict[str, int] = {}
    if name == POINT_JSON:
        images, names, category_ids = _read_point_json(
            path, folder, options, skip_refused=skip_refused
        )
        classes = names if classes is None else classes
    else:
        options = {**options, 'image_dir': folder}
        if name in TABLES:  # a table without rows is no error if it is completed by the folder
            options['list_images'] = list_images
        images = read_source_images(
            path, name, options=options, skip_refused=skip_refused, allow_empty=allow_empty
        )
        images = [image if image.missing else _with_relative_name(image) for image in images]
    if list_images:
        images = _with_all_images(images, folder)
    if not images:
        raise ValueError(
            f'{path}: expected images, got none (--list-images takes those of the folder)'
        )
    content, report = assemble_point_json(
        images,
        classes=classes,
        description=f'points of {Path(path).name}',
        where=path,
        skip_refused=skip_refused,
        allow_empty=allow_empty,
    )
    if list(category_ids) == list(report.num_points):
        _set_category_ids(content, category_ids)
    return content, report


def read_source_images(
    path: str | Path,
    name: str,
    *,
    options: Mapping[str, Any],
    skip_refused: bool = False,
    allow_empty: bool = False,
) -> list[SourceImage]:
    """Read a file of an annotation tool.

    Args:
        path: the file or folder.
        name: its format, a key of :data:`mmp2seg.converters.point_formats.READERS`.
        options: further arguments of the format's ``read``.
        skip_refused: leave out what cannot be placed, also shapes that are not points and
            annotations without a point, unless ``options`` says what to do with them.
        allow_empty: read a file without annotations.

    Raises:
        FileNotFoundError, ValueError: see the format's ``read``. Also for an option that it does
            not have.
    """
    read = READERS[name].read
    known = inspect.signature(read).parameters
    _check_options(options, known, name=name)
    if skip_refused:
        skipped = {key: 'skip' for key in ('other_shapes', 'unlabelled') if key in known}
        options = dict(skip_refused=True) | skipped | dict(options)
    if allow_empty and 'allow_empty' in known:
        options = dict(allow_empty=True) | dict(options)
    return read(path, **options)


def _check_options(options: Mapping[str, Any], known: Mapping[str, Any], *, name: str) -> None:
    for option in options:
        if option not in known:
            raise ValueError(f'--{option.replace("_", "-")}: not an option of --format {name}')


def _read_point_json(
    path: str | Path, folder: Path, options: Mapping[str, Any], *, skip_refused: bool
) -> tuple[list[SourceImage], list[str], dict[str, int]]:
    """Return the images, the class names, and the category ids by name, in the order of the ids."""
    _check_options(options, {}, name=POINT_JSON)
    content = read_json_object(path, lists=_LISTS, drop=('segmentation',), unless='supervision')
    annotations = content['annotations']
    if any(isinstance(annotation, dict) and 'id' in annotation for annotation in annotations):
        check_coco_content(path, content, annotation_keys=('id',))
    images, names = parse_point_json(path, content)
    check_image_sizes(path, content['images'])
    images = [_with_relative_name(image) for image in images]
    images = locate_images(images, image_dir=folder, skip_refused=skip_refused)
    id_of = {category['name']: category['id'] for category in content['categories']}
    return images, names, {name: id_of[name] for name in names}


def _with_relative_name(image: SourceImage) -> SourceImage:
    name = relative_name(image.file_name, where=image.where)
    return dataclasses.replace(image, file_name=name)


def _with_all_images(images: Sequence[SourceImage], folder: Path) -> list[SourceImage]:
    """Append the images of the folder that are not listed; they get new ids if the others have."""
    listed = {image.file_name for image in images}
    has_ids = any(image.image_id is not None for image in images)
    last_id = max((i.image_id for i in images if isinstance(i.image_id, int)), default=0)
    more = []
    for name in image_names(folder):
        if name not in listed:
            height, width = image_size(folder / name)
            image_id = last_id + len(more) + 1 if has_ids else None
            where = str(folder / name)
            more.append(SourceImage(name, height, width, (), where, image_id=image_id))
    return [*images, *more]


def _set_category_ids(content: dict, category_ids: Mapping[str, int]) -> None:
    names = {category['id']: category['name'] for category in content['categories']}
    for annotation in content['annotations']:
        annotation['category_id'] = category_ids[names[annotation['category_id']]]
    for category in content['categories']:
        category['id'] = category_ids[category['name']]
