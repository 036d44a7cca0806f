"""Writing of point data sets to disk: point files, jsons, image lists, maps, whole folders."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from pycocotools import mask as coco_mask


def write_point_txt(path: str | Path, points_xy: np.ndarray, labels: Sequence[int]) -> None:
    """Write a line ``x y class confidence`` per point, in pixel indices, as BESTIE's files have.

    Args:
        path: file to write; without points it becomes an empty file.
        points_xy: (N, 2) continuous (x, y); a pixel's centre is written as the pixel's index.
        labels: (N,) classes 0..K-1.
    """
    lines = [
        f'{x - 0.5:g} {y - 0.5:g} {label} 1\n'
        for (x, y), label in zip(points_xy, labels, strict=True)
    ]
    Path(path).write_text(''.join(lines))


def write_lines(path: str | Path, lines: Iterable[str]) -> None:
    """Write a text file of lines, and the folders it lies in."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(''.join(f'{line}\n' for line in lines))


def image_class_line(name: str, labels: Iterable[int]) -> str:
    """Line of ``train_cls.txt``: the image's id and its classes, each once."""
    return ' '.join([name, *(str(label) for label in sorted({int(label) for label in labels}))])


def numeric_image_ids(names: Sequence[str]) -> list[int]:
    """Ids for a json: the names read as digits if all differ so ('2007_000032' -> 2007000032).

    Otherwise the images' places in the list, from 1. ``PointVOCDataset`` counts the same way.
    """
    digits = [name.replace('_', '') for name in names]
    if all(word.isdecimal() for word in digits):
        numbers = [int(word) for word in digits]
        if len(set(numbers)) == len(numbers):
            return numbers
    return list(range(1, len(names) + 1))


class AnnotationCollector:
    """Collects the objects of a split and writes them as point json and as truth json.

    Both files have the same images, categories (ids 1..K) and annotation ids (1.. in the order of
    ``add``). The point json holds nothing of the masks; the truth json, for evaluation only, has
    RLE masks with str counts, boxes, areas and the points.

    Args:
        classes: names of the K classes.
        description: goes into ``info`` of both files.
    """

    def __init__(self, classes: Sequence[str], *, description: str) -> None:
        self._info = dict(description=description)
        self._categories = [dict(id=i + 1, name=name) for i, name in enumerate(classes)]
        self._images: list[dict] = []
        self._points: list[dict] = []
        self._instances: list[dict] = []

    def add(
        self,
        *,
        image_id: int,
        file_name: str,
        instance_map: np.ndarray,
        labels: np.ndarray,
        points_xy: np.ndarray,
    ) -> None:
        """Add an image with its N objects, also when N is 0.

        Args:
            image_id: number of the image in the json.
            file_name: the image's file, relative to the image folder.
            instance_map: (H, W) int32, 0 = none, i + 1 = object i.
            labels: (N,) classes 0..K-1.
            points_xy: (N, 2) continuous (x, y).
        """
        height, width = map(int, instance_map.shape)
        image = dict(id=int(image_id), file_name=file_name, height=height, width=width)
        self._images.append(image)
        for i, (label, point) in enumerate(zip(labels, points_xy, strict=True)):
            shared = dict(
                id=len(self._points) + 1,
                image_id=int(image_id),
                category_id=int(label) + 1,
                point=[float(point[0]), float(point[1])],
            )
            self._points.append(shared)
            self._instances.append(shared | _mask_entries(instance_map == i + 1))

    def write_points(self, path: str | Path) -> None:
        """Write the point json."""
        self._write(path, self._points)

    def write_instances(self, path: str | Path) -> None:
        """Write the truth json."""
        self._write(path, self._instances)

    def _write(self, path: str | Path, annotations: list[dict]) -> None:
        content = dict(
            info=self._info,
            images=self._images,
            categories=self._categories,
            annotations=annotations,
        )
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))


def _mask_entries(mask: np.ndarray) -> dict:
    """COCO's entries for a mask (H, W) bool."""
    rle = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    return dict(
        segmentation=dict(size=[int(s) for s in rle['size']], counts=rle['counts'].decode()),
        bbox=[float(value) for value in coco_mask.toBbox(rle)],
        area=int(coco_mask.area(rle)),
        iscrowd=0,
    )
