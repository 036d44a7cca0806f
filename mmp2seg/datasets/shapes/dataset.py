"""Write the generated dataset Shapes to disk.

Shapes replaces photographs where none can be downloaded. It consists of small scenes in which
objects of a few classes touch and overlap, with points, weak semantic maps and, for evaluation
only, the true masks. ``scene.py`` generates the scenes; this module writes them in the VOC or the
COCO layout.
"""

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np

from mmp2seg.datasets.annotation_collector import AnnotationCollector
from mmp2seg.datasets.shapes.scene import (
    SHAPES_CLASSES,
    SHAPES_PALETTE,
    Scene,
    generate_scene,
)
from mmp2seg.datasets.voc_layout import image_class_line, write_lines, write_point_txt
from mmp2seg.files.folders import complete_folder
from mmp2seg.files.index_png import write_palette_png
from mmp2seg.ops.adjacency import adjacent_same_class
from mmp2seg.ops.semantic_iou import confusion_matrix, mean_iou

__all__ = [
    'SHAPES_CLASSES',
    'SHAPES_PALETTE',
    'Scene',
    'ShapesReport',
    'SplitReport',
    'generate_scene',
    'write_shapes',
]

# The scene numbers of the splits start far apart, so that a split does not depend on the other's
# size.
_FIRST_INDEX = {'train': 0, 'val': 1_000_000}
_JPEG_QUALITY = 95


@dataclasses.dataclass(frozen=True)
class SplitReport:
    """Statistics of a written split."""

    num_images: int
    num_objects: int
    num_touching: int
    """Objects at most 2 px from another object of their class; see ``adjacent_same_class``."""
    num_empty: int
    """Images without objects."""
    weak_miou: float
    """Mean IoU of the weak maps with the true maps, with background, in 0..1; nan if empty."""


@dataclasses.dataclass(frozen=True)
class ShapesReport:
    """Statistics of a written dataset."""

    train: SplitReport
    val: SplitReport


def write_shapes(
    root: str | Path,
    *,
    layout: str = 'voc',
    num_train: int = 300,
    num_val: int = 100,
    seed: int = 0,
    size: tuple[int, int] = (128, 128),
    overwrite: bool = False,
    track: Callable[[Iterable], Iterable] = iter,
) -> ShapesReport:
    """Write the dataset to a folder, atomically.

    'voc' is the layout of BESTIE and P2Seg: JPEGImages, Center_points, WSSS_maps, train_cls.txt
    (all images), SegmentationClass, ImageSets/Segmentation and annotations. In 'coco', the images
    are in train and val, and the weak maps in semantic_maps/train and semantic_maps/val. In both
    layouts, the folder annotations contains points_{train,val}.json and the ground truth
    instances_{train,val}.json.

    Args:
        root: folder to create.
        layout: 'voc' or 'coco'; the contents are the same.
        num_train, num_val: number of scenes of each split, >= 0.
        seed: seed of the dataset.
        size: (H, W) of the images.
        overwrite: replace a folder that is not empty.
        track: wraps the list of scene indices of a split, for a progress bar.

    Raises:
        ValueError: the layout is unknown or a number is negative.
        FileExistsError: ``root`` is not empty and ``overwrite`` is not set.
    """
    if layout not in ('voc', 'coco'):
        raise ValueError(f"expected layout 'voc' or 'coco', got {layout!r}")
    if num_train < 0 or num_val < 0:
        raise ValueError(f'expected numbers of images >= 0, got {num_train} and {num_val}')
    write_scene, write_lists = (
        (_write_voc_scene, _write_voc_lists) if layout == 'voc' else (_write_coco_scene, None)
    )
    reports, image_labels = {}, {}
    with complete_folder(root, overwrite=overwrite) as folder:
        for split, count in (('train', num_train), ('val', num_val)):
            collector = AnnotationCollector(SHAPES_CLASSES, description=f'Shapes, seed {seed}')
            figures = _Figures()
            image_labels[split] = {}
            first = _FIRST_INDEX[split]
            for index in track(list(range(first, first + count))):
                scene = generate_scene(index, seed=seed, size=size)
                name = f'{index:07d}'
                write_scene(folder, split, name, scene)
                collector.add(
                    image_id=index,
                    file_name=f'{name}.jpg',
                    instance_map=scene.instance_map,
                    labels=scene.labels,
                    points_xy=scene.points_xy,
                )
                figures.add(scene)
                image_labels[split][name] = scene.labels
            collector.write_points(folder / 'annotations' / f'points_{split}.json')
            collector.write_instances(folder / 'annotations' / f'instances_{split}.json')
            reports[split] = figures.report()
        if write_lists is not None:
            write_lists(folder, image_labels)
    return ShapesReport(**reports)


class _Figures:
    def __init__(self) -> None:
        count = len(SHAPES_CLASSES)
        self.matrix = np.zeros((count + 1, count + 2), np.int64)
        self.images = self.objects = self.touching = self.empty = 0

    def add(self, scene: Scene) -> None:
        self.images += 1
        self.objects += len(scene.labels)
        self.touching += int(adjacent_same_class(scene.instance_map, scene.labels).sum())
        self.empty += not len(scene.labels)
        self.matrix += confusion_matrix(
            scene.weak_map, scene.semantic_map, num_classes=len(SHAPES_CLASSES)
        )

    def report(self) -> SplitReport:
        return SplitReport(
            self.images, self.objects, self.touching, self.empty, mean_iou(self.matrix)
        )


def _write_voc_scene(folder: Path, split: str, name: str, scene: Scene) -> None:
    _write_image(folder / 'JPEGImages' / f'{name}.jpg', scene.image)
    write_palette_png(folder / 'WSSS_maps' / f'{name}.png', scene.weak_map)
    write_palette_png(folder / 'SegmentationClass' / f'{name}.png', scene.semantic_map)
    points = folder / 'Center_points' / f'{name}.txt'
    points.parent.mkdir(exist_ok=True)
    write_point_txt(points, scene.points_xy, scene.labels)


def _write_voc_lists(folder: Path, image_labels: dict[str, dict[str, np.ndarray]]) -> None:
    for split, labels in image_labels.items():
        write_lines(folder / 'ImageSets' / 'Segmentation' / f'{split}.txt', labels)
    lines = [
        image_class_line(name, labels)
        for labels_of_split in image_labels.values()
        for name, labels in labels_of_split.items()
    ]
    write_lines(folder / 'train_cls.txt', lines)


def _write_coco_scene(folder: Path, split: str, name: str, scene: Scene) -> None:
    _write_image(folder / split / f'{name}.jpg', scene.image)
    write_palette_png(folder / 'semantic_maps' / split / f'{name}.png', scene.weak_map)


def _write_image(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]):
        raise OSError(f'{path}: the image cannot be written')
