"""Convert the instance masks of PASCAL VOC to a point dataset or a COCO instance json."""

import dataclasses
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from mmp2seg.converters.point_json import no_point_message
from mmp2seg.datasets.annotation_collector import AnnotationCollector
from mmp2seg.datasets.voc_layout import (
    image_class_line,
    numeric_image_ids,
    read_image_list,
    write_lines,
    write_point_txt,
)
from mmp2seg.files.folders import complete_folder, link_or_copy
from mmp2seg.files.index_png import read_index_png
from mmp2seg.ops.point_sampling import center_inside, random_inside

_VOID = 255


@dataclasses.dataclass(frozen=True)
class ConversionReport:
    """Counts of a conversion to points, by split."""

    num_images: dict[str, int]
    num_objects: dict[str, int]


@dataclasses.dataclass(frozen=True)
class InstanceReport:
    """Counts of a conversion to a COCO instance json.

    Attributes:
        num_images: number of images in the file, including images without objects.
        num_objects: number of objects by class name, including classes without an object.
    """

    num_images: int
    num_objects: dict[str, int]


def convert_voc_masks(
    voc_root: str | Path,
    out_root: str | Path,
    *,
    classes: Sequence[str],
    splits: Sequence[str] = ('train',),
    point: str = 'center',
    seed: int = 0,
    copy: bool = False,
    allow_empty: bool = False,
    overwrite: bool = False,
    track: Callable[[Iterable], Iterable] = iter,
) -> ConversionReport:
    """Draw a point from each object mask and write a point dataset in VOC's layout.

    This reads ``ImageSets/Segmentation/<split>.txt``, ``SegmentationObject`` and
    ``SegmentationClass``. It writes ``Center_points``, ``train_cls.txt`` (images of all splits),
    ``ImageSets/Segmentation``, ``annotations/points_<split>.json`` and, as ground truth for
    evaluation, ``annotations/instances_<split>.json``. ``JPEGImages`` and ``SegmentationClass``
    become links. No weak maps are written.

    Args:
        voc_root: folder in VOC's layout (VOC2012).
        out_root: folder to create; it is written atomically.
        classes: names of the K classes in the order of their map values 1..K.
        splits: names of the image lists.
        point: 'center' (the centre of mass, moved inside the mask) or 'random' (a random pixel of
            the mask).
        seed: seed of the random pixels; each image has its own random stream.
        copy: copy images and maps instead of linking to them.
        allow_empty: write the result without a single object.
        overwrite: replace a folder that is not empty.
        track: function that wraps the list of images of a split, e.g. to show a progress bar.

    Raises:
        FileNotFoundError: a list, image or map is missing.
        ValueError: a map is broken, maps have different sizes, an object has no class, a class is
            out of range, or an image is listed twice.
        FileExistsError: ``out_root`` is not empty and ``overwrite`` is False.
    """
    if point not in ('center', 'random'):
        raise ValueError(f"expected point 'center' or 'random', got {point!r}")
    voc_root = Path(voc_root)
    num_images, num_objects = {}, {}
    image_labels: dict[str, np.ndarray] = {}
    with complete_folder(out_root, overwrite=overwrite, inputs=[voc_root]) as folder:
        for name in ('JPEGImages', 'SegmentationClass'):
            link_or_copy(voc_root / name, folder / name, copy=copy)
        (folder / 'Center_points').mkdir()
        for split in splits:
            names = read_image_list(voc_root / 'ImageSets' / 'Segmentation' / f'{split}.txt')
            image_ids = dict(zip(names, numeric_image_ids(names), strict=True))
            collector = AnnotationCollector(classes, description=f'VOC {split}')
            num_images[split], num_objects[split] = len(names), 0
            for name in track(names):
                if not (voc_root / 'JPEGImages' / f'{name}.jpg').exists():
                    raise FileNotFoundError(f'{voc_root / "JPEGImages" / name}.jpg: no such file')
                instance_map, labels = read_voc_objects(voc_root, name, num_classes=len(classes))
                rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
                points_xy = _draw_points(instance_map, len(labels), point, rng)
                write_point_txt(folder / 'Center_points' / f'{name}.txt', points_xy, labels)
                collector.add(
                    image_id=image_ids[name],
                    file_name=f'{name}.jpg',
                    instance_map=instance_map,
                    labels=labels,
                    points_xy=points_xy,
                )
                image_labels[name] = labels
                num_objects[split] += len(labels)
            if not num_objects[split] and not allow_empty:
                where = f'{voc_root}, {split}'
                raise ValueError(no_point_message(where, len(names), expected='an object'))
            write_lines(folder / 'ImageSets' / 'Segmentation' / f'{split}.txt', names)
            collector.write_points(folder / 'annotations' / f'points_{split}.json')
            collector.write_instances(folder / 'annotations' / f'instances_{split}.json')
        lines = [image_class_line(name, labels) for name, labels in image_labels.items()]
        write_lines(folder / 'train_cls.txt', lines)
    return ConversionReport(num_images, num_objects)


def voc_masks_to_coco(
    voc_root: str | Path,
    out_path: str | Path,
    *,
    classes: Sequence[str],
    split: str = 'val',
    allow_empty: bool = False,
    track: Callable[[Iterable], Iterable] = iter,
) -> InstanceReport:
    """Write the objects of an image list as a COCO instance json.

    This reads ``ImageSets/Segmentation/<split>.txt``, ``SegmentationObject`` and
    ``SegmentationClass``. The masks are RLE without VOC's void pixels, which belong to no object.
    Category ids are 1..K; for image ids see ``numeric_image_ids``.

    Args:
        voc_root: folder in VOC's layout (VOC2012).
        out_path: json to write; it is written atomically.
        classes: names of the K classes in the order of their map values 1..K.
        split: name of the image list.
        allow_empty: write the result without a single object.
        track: function that wraps the list of images, e.g. to show a progress bar.

    Raises:
        FileNotFoundError: a list or map is missing.
        ValueError: a map is broken, maps have different sizes, an object has no class, a class is
            out of range, or an image is listed twice; the message names the file.
    """
    names = read_image_list(Path(voc_root) / 'ImageSets' / 'Segmentation' / f'{split}.txt')
    collector = AnnotationCollector(classes, description=f'VOC {split}')
    counts: Counter[int] = Counter()
    for name, image_id in track(list(zip(names, numeric_image_ids(names), strict=True))):
        instance_map, labels = read_voc_objects(voc_root, name, num_classes=len(classes))
        collector.add(
            image_id=image_id, file_name=f'{name}.jpg', instance_map=instance_map, labels=labels
        )
        counts.update(labels.tolist())
    if not counts and not allow_empty:
        where = f'{voc_root}, {split}'
        raise ValueError(no_point_message(where, len(names), expected='an object'))
    collector.write_instances(out_path)
    return InstanceReport(len(names), {name: counts[k] for k, name in enumerate(classes)})


def read_voc_objects(
    voc_root: str | Path, name: str, *, num_classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Read the objects of an image from VOC's two maps.

    Args:
        voc_root: folder in VOC's layout.
        name: the image's name without suffix.
        num_classes: number K of classes without background.

    Returns:
        instance map (H, W) int32 (0 = none or void, i + 1 = object i, in the order of VOC's
        object numbers) and labels (N,) int64: the most frequent class of the object's pixels.

    Raises:
        FileNotFoundError: a map is missing.
        ValueError: a map is broken, the sizes differ, an object has no class, or a class is out of
            range; the message names the file.
    """
    object_path = Path(voc_root) / 'SegmentationObject' / f'{name}.png'
    class_path = Path(voc_root) / 'SegmentationClass' / f'{name}.png'
    object_map, class_map = read_index_png(object_path), read_index_png(class_path)
    if object_map.shape != class_map.shape:
        raise ValueError(
            f'{object_path}: expected the size of {class_path}, {class_map.shape}, '
            f'got {object_map.shape}'
        )
    numbers = np.setdiff1d(np.unique(object_map), [0, _VOID])
    instance_map = np.zeros(object_map.shape, np.int32)
    labels = np.zeros(len(numbers), np.int64)
    for i, number in enumerate(numbers):
        mask = object_map == number
        values = class_map[mask]
        values = values[(values != 0) & (values != _VOID)]
        if not values.size:
            raise ValueError(f'{class_path}: expected a class for object {number}, got background')
        value = int(np.bincount(values).argmax())
        if value > num_classes:
            raise ValueError(
                f'{class_path}: expected a class 1..{num_classes} for object {number}, got {value}'
            )
        instance_map[mask] = i + 1
        labels[i] = value - 1
    return instance_map, labels


def _draw_points(
    instance_map: np.ndarray, count: int, point: str, rng: np.random.Generator
) -> np.ndarray:
    points_xy = np.zeros((count, 2), np.float32)
    for i in range(count):
        mask = instance_map == i + 1
        points_xy[i] = center_inside(mask) if point == 'center' else random_inside(mask, rng)
    return points_xy
