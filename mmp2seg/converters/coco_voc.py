"""Points of a COCO json in the VOC layout of BESTIE and P2Seg, and the other way round.

Both directions keep points (every digit), classes and the order of images and of the points of an
image. What VOC's layout has no place for is lost: ids of annotations, and ids of images that are
not their names' digits; what the json has no place for too: the confidence of a point.
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
)
from mmp2seg.converters.voc_masks import read_image_list
from mmp2seg.datasets.coco_content import (
    annotation_place,
    check_coco_content,
    ordered_class_names,
)
from mmp2seg.datasets.layouts import (
    image_class_line,
    parse_point_line,
    write_lines,
    write_point_txt,
)
from mmp2seg.datasets.point_sources import check_point_source, read_annotation_point
from mmp2seg.files.atomic_write import write_json
from mmp2seg.files.folders import complete_folder, link_or_copy
from mmp2seg.files.image_folder import IMAGE_SUFFIXES, image_size
from mmp2seg.files.json_reading import read_json_object
from mmp2seg.files.text_reading import read_text

CLASS_FILE = 'classes.txt'


@dataclasses.dataclass(frozen=True)
class VocLayoutReport:
    """Counts of a conversion into VOC's layout.

    Attributes:
        points: counts of images and points.
        img_suffix: of the images, as ``PointVOCDataset`` takes it.
    """

    points: PointReport
    img_suffix: str


def coco_to_voc_points(
    json_path: str | Path,
    img_dir: str | Path,
    out_root: str | Path,
    *,
    split: str = 'train',
    point_source: str = 'point',
    copy: bool = False,
    skip_refused: bool = False,
    overwrite: bool = False,
    track: Callable[[Iterable], Iterable] = iter,
) -> VocLayoutReport:
    """Write the points of a COCO json in VOC's layout.

    Writes ``Center_points``, ``train_cls.txt``, ``ImageSets/Segmentation/<split>.txt`` and, for the
    way back, ``classes.txt`` with a class name per line; ``JPEGImages`` is a link to ``img_dir``.

    Args:
        json_path: COCO json; crowd annotations are left out.
        img_dir: folder of the images, whose names must be the json's ``file_name``.
        out_root: folder to make; it appears only when it is complete.
        split: name of the image list.
        point_source: as of ``read_annotation_point``.
        copy: copy the images of the json instead of linking their folder.
        skip_refused: leave points out that are outside of their image or have the place and class
            of an earlier one, and report them, instead of stopping.
        overwrite: replace a folder that is not empty.
        track: wraps the list of images; a place for a progress bar.

    Raises:
        FileNotFoundError: for a missing json, image folder or image.
        ValueError: as of :func:`read_coco_points` and ``assemble_point_json``; for image names that
            VOC's layout cannot have: in a sub-folder, with a space, with the stem of another image,
            or with different suffixes.
        FileExistsError: if ``out_root`` is not empty and ``overwrite`` is not set.
    """
    images, classes = read_coco_points(json_path, point_source=point_source)
    if not images:
        raise ValueError(f'{json_path}: expected at least one image, got none')
    img_suffix = _common_suffix(images)
    content, report = assemble_point_json(images, classes=classes, skip_refused=skip_refused)
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
    return VocLayoutReport(report, img_suffix)


def voc_points_to_coco(
    voc_root: str | Path,
    out_path: str | Path,
    *,
    classes: Sequence[str],
    split: str = 'train',
    points_dir: str = 'Center_points',
    skip_refused: bool = False,
    track: Callable[[Iterable], Iterable] = iter,
) -> PointReport:
    """Write the points of a folder in VOC's layout as a point json.

    Args:
        voc_root: folder with ``JPEGImages``, of which the sizes are read,
            ``ImageSets/Segmentation`` and point files.
        out_path: json to write, whole or not at all.
        classes: names of the K classes, in order.
        split: name of the image list.
        points_dir: folder of the point files in ``voc_root``; each image has one, perhaps empty.
        skip_refused: leave points out that are outside of their image or have the place and class
            of an earlier one, and report them, instead of stopping.
        track: wraps the list of images; a place for a progress bar.

    Raises:
        FileNotFoundError: for a missing list, image or point file.
        ValueError: for a broken line, image or list, images of different suffixes, an image in two
            formats, and as of ``assemble_point_json``.
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
        images, classes=classes, description=f'points of {split}', skip_refused=skip_refused
    )
    write_json(out_path, content)
    return report


def read_coco_points(
    path: str | Path, *, point_source: str = 'point'
) -> tuple[list[SourceImage], list[str]]:
    """Images with points of any COCO json, and its class names in the order of their ids.

    Images are in the order of the file, and their points too. Crowd annotations are left out.

    Args:
        path: COCO json; its images need ``height`` and ``width``.
        point_source: as of ``read_annotation_point``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no COCO json, an id or a name is in it twice, or an annotation has no
            point or an unknown image or category; names the file and the place.
    """
    check_point_source(point_source)
    content = read_json_object(
        path, lists=('images', 'categories', 'annotations'), drop=('segmentation',)
    )
    check_coco_content(path, content, image_keys=('height', 'width'))
    names = {category['id']: category['name'] for category in content['categories']}
    points: dict[int, list[SourcePoint]] = {image['id']: [] for image in content['images']}
    for index, annotation in enumerate(content['annotations']):
        if annotation.get('iscrowd', 0):
            continue
        where = annotation_place(path, index, annotation)
        x, y = read_annotation_point(annotation, point_source=point_source, where=where)
        point = SourcePoint(x, y, names[annotation['category_id']], where)
        points[annotation['image_id']].append(point)
    images = [
        SourceImage(
            image['file_name'],
            image['height'],
            image['width'],
            points[image['id']],
            f'{path}: images[{index}]',
        )
        for index, image in enumerate(content['images'])
    ]
    return images, ordered_class_names(content['categories'])


def _common_suffix(images: Sequence[SourceImage]) -> str:
    """The suffix of all images; refuses names that VOC's layout cannot have."""
    place_of: dict[str, SourceImage] = {}
    for image in images:
        name = PurePosixPath(image.file_name)
        if image.file_name != name.name or '\\' in image.file_name:
            raise ValueError(
                f"{image.where}: expected an image without folder, as VOC's layout has them, got "
                f'{image.file_name!r}'
            )
        if image.file_name.split() != [image.file_name]:
            raise ValueError(
                f'{image.where}: expected a name without spaces, as image lists have a name to the '
                f'first space, got {image.file_name!r}'
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
    """File of each image, all of one suffix."""
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
            f'{path}: the point file does not exist (an image without points has an empty one)'
        )
    points = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if line.strip():
            where = f'{path}:{number}'
            x, y, label = parse_point_line(line, num_classes=len(classes), where=where)
            points.append(SourcePoint(x, y, classes[label], where))
    return points
