"""The parts of point data sets on disk: point files, image lists, jsons."""

from collections.abc import Iterable, Sequence
from decimal import Context, Decimal
from pathlib import Path

import numpy as np
from pycocotools import mask as coco_mask

from mmp2seg.datasets.point_dataset import parse_point
from mmp2seg.files.atomic_write import write_json
from mmp2seg.ops.rle import encode_rle

_HALF = Decimal('0.5')
# Differences and sums with .5 in decimal, as a float loses digits of small coordinates by them.
_DECIMAL = Context(prec=50)


def write_point_txt(path: str | Path, points_xy: np.ndarray, labels: Sequence[int]) -> None:
    """Write a line ``x y class confidence`` per point, in pixel indices, as BESTIE's files have.

    Args:
        path: file to write; without points it becomes an empty file.
        points_xy: (N, 2) finite continuous (x, y) as floats of any precision; a pixel's centre is
            written as the pixel's index. :func:`parse_point_line` gives the same floats back.
        labels: (N,) classes 0..K-1.
    """
    lines = [
        f'{_index_text(x)} {_index_text(y)} {label} 1\n'
        for (x, y), label in zip(points_xy, labels, strict=True)
    ]
    Path(path).write_text(''.join(lines))


def parse_point_line(line: str, *, num_classes: int, where: str) -> tuple[float, float, int]:
    """Read a line ``x y class [confidence]`` of a point file.

    Args:
        line: pixel indices, so that 0.5 is added; the confidence counts for nothing.
        num_classes: number K of classes without background.
        where: file and line, for errors.

    Returns:
        continuous (x, y), and the class 0..K-1.

    Raises:
        ValueError: for another number of words, coordinates that are no finite numbers, a class out
            of range; begins with ``where``.
    """
    words = line.split()
    if len(words) not in (3, 4):
        raise ValueError(f"{where}: expected 'x y class [confidence]', got {line!r}")
    parse_point(words[:2], where=where)
    try:
        label = float(words[2])  # some files write classes as '3.0'
    except ValueError:
        label = float('nan')
    if not (label.is_integer() and 0 <= label < num_classes):
        raise ValueError(f'{where}: expected a class 0..{num_classes - 1}, got {words[2]!r}')
    x, y = (float(_DECIMAL.add(Decimal(word), _HALF)) for word in words[:2])
    return x, y, int(label)


def _index_text(coordinate: float) -> str:
    """Pixel index of a coordinate with all its digits: 12.5 -> '12', 0.1 -> '-0.4'."""
    index = _DECIMAL.subtract(Decimal(repr(float(coordinate))), _HALF)
    return f'{index.normalize(_DECIMAL):f}'


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
        points_xy: np.ndarray | None = None,
    ) -> None:
        """Add an image with its N objects, also when N is 0.

        Args:
            image_id: number of the image in the json.
            file_name: the image's file, relative to the image folder.
            instance_map: (H, W) int32, 0 = none, i + 1 = object i.
            labels: (N,) classes 0..K-1.
            points_xy: (N, 2) continuous (x, y); None leaves the points out, of the truth too.
        """
        height, width = map(int, instance_map.shape)
        image = dict(id=int(image_id), file_name=file_name, height=height, width=width)
        self._images.append(image)
        points = [None] * len(labels) if points_xy is None else points_xy
        for i, (label, point) in enumerate(zip(labels, points, strict=True)):
            shared = dict(
                id=len(self._instances) + 1, image_id=int(image_id), category_id=int(label) + 1
            )
            if point is not None:
                shared['point'] = [float(point[0]), float(point[1])]
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
        write_json(path, content)


def _mask_entries(mask: np.ndarray) -> dict:
    """COCO's entries for a mask (H, W) bool."""
    rle = encode_rle(mask)
    return dict(
        segmentation=rle,
        bbox=[float(value) for value in coco_mask.toBbox(rle)],
        area=int(coco_mask.area(rle)),
        iscrowd=0,
    )
