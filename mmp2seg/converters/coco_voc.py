"""Convert points between a COCO json and the VOC layout of BESTIE and P2Seg.

Both directions keep all digits of the points, the classes, and the order of the images and of the
points in an image. The VOC layout cannot store annotation ids, nor image ids that differ from the
digits of the image names, nor background clicks. The json cannot store the confidence of a point.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePosixPath

from mmp2seg.converters.point_json import (
    PointReport,
    SourceImage,
    SourcePoint,
    assemble_point_json,
    read_point_json,
)
from mmp2seg.datasets.voc_layout import (
    image_class_line,
    parse_point_line,
    read_image_list,
    write_lines,
    write_point_txt,
)
from mmp2seg.files.atomic_write import write_json
from mmp2seg.files.folders import complete_folder, link_or_copy
from mmp2seg.files.image_folder import IMAGE_SUFFIXES, image_size
from mmp2seg.files.text_reading import read_text

CLASS_FILE = 'classes.txt'


@dataclasses.dataclass(frozen=True)
class VocLayoutReport:
    """Counts of a conversion to VOC's layout.

    Attributes:
        points: counts of images and points.
        img_suffix: suffix of the images, an argument of ``PointVOCDataset``.
        num_background: background clicks of the json, which are left out.
    """

    points: PointReport
    img_suffix: str
    num_background: int = 0


def coco_to_voc_points(
    json_path: str | Path,
    img_dir: str | Path,
    out_root: str | Path,
    *,
    split: str = 'train',
    point_source: str = 'point',
    copy: bool = False,
    skip_refused: bool = False,
    allow_empty: bool = False,
    overwrite: bool = False,
    track: Callable[[Iterable], Iterable] = iter,
) -> VocLayoutReport:
    """Write the points of a COCO json in VOC's layout.

    This writes ``Center_points``, ``train_cls.txt``, ``ImageSets/Segmentation/<split>.txt`` and,
    for the reverse conversion, ``classes.txt`` with one class name per line. ``JPEGImages`` is a
    link to ``img_dir``.

    Args:
        json_path: COCO json; crowd annotations and background clicks are left out.
        img_dir: folder of the images, which are named by the json's ``file_name``.
        out_root: folder to create; it is written atomically.
        split: name of the image list.
        point_source: where an annotation's point is, see ``read_annotation_point``.
        copy: copy the images of the json instead of linking to their folder.
        skip_refused: leave out points that are outside their image or duplicate the position and
            class of an earlier point, and report them, instead of raising an error.
        allow_empty: write the result without a single point.
        overwrite: replace a folder that is not empty.
        track: function that wraps the list of images, e.g. to show a progress bar.

    Raises:
        FileNotFoundError: the json, the image folder or an image is missing.
        ValueError: see ``read_point_json`` and ``assemble_point_json``. Also for image names that
            the VOC layout does not allow: in a subfolder, with a space, with the stem of another
            image, or with different suffixes.
        FileExistsError: ``out_root`` is not empty and ``overwrite`` is False.
    """
    images, classes = read_point_json(json_path, point_source=point_source)
    if not images:
        raise ValueError(f'{json_path}: expected at least one image, got none')
    img_suffix = _common_suffix(images)
    num_background = sum(len(image.background_points) for image in images)
    images = [dataclasses.replace(image, background_points=()) for image in images]
    content, report = assemble_point_json(
        images,
        classes=classes,
        where=json_path,
        skip_refused=skip_refused,
        allow_empty=allow_empty,
    )
    _check_images_exist(img_dir, images)
    points, labels = defaultdict(list), defaultdict(list)
    for annotation in content['annotations']:
        points[annotation['image_id']].append(annotation['point'])
        labels[annotation['image_id']].append(annotation['category_id'] - 1)
    names = {entry['id']: PurePosixPath(entry['file_name']).stem for entry in content['images']}
    with complete_folder(out_root, overwrite=overwrite, inputs=[json_path, img_dir]) as folder:
        if not copy:
            link_or_copy(img_dir, folder / 'JPEGImages')
        (folder / 'Center_points').mkdir()
        for image_id, name in track(list(names.items())):
            if copy:
                file_name = f'{name}{img_suffix}'
                link_or_copy(
                    Path(img_dir) / file_name, folder / 'JPEGImages' / file_name, copy=True
                )
            path = folder / 'Center_points' / f'{name}.txt'
            write_point_txt(path, points[image_id], labels[image_id])
        write_lines(folder / 'ImageSets' / 'Segmentation' / f'{split}.txt', names.values())
        lines = [image_class_line(name, labels[image_id]) for image_id, name in names.items()]
        write_lines(folder / 'train_cls.txt', lines)
        write_lines(folder / CLASS_FILE, classes)
    return VocLayoutReport(report, img_suffix, num_background)


def voc_points_to_coco(
    voc_root: str | Path,
    out_path: str | Path,
    *,
    classes: Sequence[str],
    split: str = 'train',
    points_dir: str = 'Center_points',
    skip_refused: bool = False,
    allow_empty: bool = False,
    track: Callable[[Iterable], Iterable] = iter,
) -> PointReport:
    """Write the points of a folder in VOC's layout as a point json.

    Args:
        voc_root: folder with ``JPEGImages`` (the image sizes are read from the files),
            ``ImageSets/Segmentation`` and point files.
        out_path: json to write; it is written atomically.
        classes: names of the K classes, in order.
        split: name of the image list.
        points_dir: folder of the point files in ``voc_root``. Each image needs a point file, which
            may be empty.
        skip_refused: leave out points that are outside their image or duplicate the position and
            class of an earlier point, and report them, instead of raising an error.
        allow_empty: write the result without a single point.
        track: function that wraps the list of images, e.g. to show a progress bar.

    Raises:
        FileNotFoundError: a list, image or point file is missing.
        ValueError: a line, image or list is malformed, images have different suffixes, or an image
            exists in two formats; see also ``assemble_point_json``.
    """
    voc_root = Path(voc_root)
    names = read_image_list(voc_root / 'ImageSets' / 'Segmentation' / f'{split}.txt')
    files = _image_files(voc_root / 'JPEGImages', names)
    images = []
    for name in track(names):
        path = voc_root / points_dir / f'{name}.txt'
        height, width = image_size(voc_root / 'JPEGImages' / files[name])
        points = _read_point_file(path, classes)
        images.append(SourceImage(files[name], height, width, points, str(path)))
    content, report = assemble_point_json(
        images,
        classes=classes,
        description=f'points of {split}',
        where=f'{voc_root}, {split}',
        skip_refused=skip_refused,
        allow_empty=allow_empty,
    )
    write_json(out_path, content)
    return report


def _common_suffix(images: Sequence[SourceImage]) -> str:
    """Return the common suffix of all images; reject names that VOC's layout does not allow."""
    place_of: dict[str, SourceImage] = {}
    for image in images:
        name = PurePosixPath(image.file_name)
        if image.file_name != name.name or '\\' in image.file_name:
            raise ValueError(
                f"{image.where}: expected an image without folder, as VOC's layout requires, got "
                f'{image.file_name!r}'
            )
        if image.file_name.split() != [image.file_name]:
            raise ValueError(
                f'{image.where}: expected a name without spaces, as a name in an image list ends '
                f'at the first space, got {image.file_name!r}'
            )
        other = place_of.setdefault(name.stem, image)
        if other is not image:
            raise ValueError(
                f'{image.where}: expected one image of the name {name.stem!r}, got '
                f'{image.file_name} and {other.file_name}'
            )
    suffix = PurePosixPath(images[0].file_name).suffix
    for image in images:
        if PurePosixPath(image.file_name).suffix != suffix:
            raise ValueError(
                f'{image.where}: expected images of one suffix, got {image.file_name} and '
                f'{images[0].file_name}'
            )
    return suffix


def _check_images_exist(img_dir: str | Path, images: Sequence[SourceImage]) -> None:
    if not Path(img_dir).is_dir():
        raise FileNotFoundError(f'{img_dir}: no such folder')
    existing = {path.name for path in Path(img_dir).iterdir()}
    for image in images:
        if image.file_name not in existing:
            raise FileNotFoundError(
                f'{Path(img_dir) / image.file_name}: no such file, of {image.where}'
            )


def _image_files(img_dir: Path, names: Sequence[str]) -> dict[str, str]:
    """Return the file name of each image; check that all have the same suffix."""
    if not img_dir.is_dir():
        raise FileNotFoundError(f'{img_dir}: no such folder')
    found: dict[str, list[str]] = defaultdict(list)
    for path in img_dir.iterdir():
        if path.suffix.lower() in IMAGE_SUFFIXES:
            found[path.stem].append(path.name)
    for name in names:
        if name not in found:
            raise FileNotFoundError(f'{img_dir / name}{IMAGE_SUFFIXES[0]}: no such file')
        if len(found[name]) > 1:
            raise ValueError(f'{img_dir}: expected one image {name}, got {sorted(found[name])}')
    files = {name: found[name][0] for name in names}
    suffixes = {Path(file).suffix: file for file in files.values()}
    if len(suffixes) > 1:
        raise ValueError(f'{img_dir}: expected images of one suffix, got {sorted(suffixes)}')
    return files


def _read_point_file(path: Path, classes: Sequence[str]) -> list[SourcePoint]:
    if not path.is_file():
        raise FileNotFoundError(
            f'{path}: no such point file (an image without points needs an empty one)'
        )
    points = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if line.strip():
            where = f'{path}:{number}'
            x, y, label = parse_point_line(line, num_classes=len(classes), where=where)
            points.append(SourcePoint(x, y, classes[label], where))
    return points
