"""Text files of the VOC layout that BESTIE and P2Seg use: point files and image lists."""

from collections.abc import Iterable, Sequence
from decimal import Context, Decimal
from pathlib import Path

import numpy as np

from mmp2seg.datasets.point_reading import parse_point
from mmp2seg.files.image_folder import names_a_file
from mmp2seg.files.text_reading import read_text, whole_number

_HALF = Decimal('0.5')
# Add and subtract 0.5 in decimal arithmetic; with floats, small coordinates would lose digits. The
# smallest float64 has 324 zeros after the point.
_DECIMAL = Context(prec=400)


def write_point_txt(path: str | Path, points_xy: np.ndarray, labels: Sequence[int]) -> None:
    """Write a line ``x y class confidence`` per point, in pixel indices, as in BESTIE's files.

    Args:
        path: file to write; it is empty if there are no points.
        points_xy: (N, 2) finite continuous (x, y), floats of any precision. The centre of a pixel
            is written as the pixel's index. :func:`parse_point_line` returns the same floats.
        labels: (N,) classes 0..K-1.
    """
    lines = [
        f'{_index_text(x)} {_index_text(y)} {label} 1\n'
        for (x, y), label in zip(points_xy, labels, strict=True)
    ]
    Path(path).write_text(''.join(lines))


def parse_point_line(line: str, *, num_classes: int, where: str) -> tuple[float, float, int]:
    """Parse a line ``x y class [confidence]`` of a point file.

    Args:
        line: x and y are pixel indices, so 0.5 is added; the confidence is ignored.
        num_classes: number K of classes without background.
        where: file and line, for errors.

    Returns:
        continuous x and y, and the class 0..K-1.

    Raises:
        ValueError: the line has another number of words, coordinates that are not finite numbers,
            or a class out of range; the message begins with ``where``.
    """
    words = line.split()
    if len(words) not in (3, 4):
        raise ValueError(f"{where}: expected 'x y class [confidence]', got {line!r:.60}")
    parse_point(words[:2], where=where, text=True)
    try:
        label = float(words[2])  # some files write classes as '3.0'
    except ValueError:
        label = float('nan')
    if not (label.is_integer() and 0 <= label < num_classes):
        raise ValueError(f'{where}: expected a class 0..{num_classes - 1}, got {words[2]!r:.60}')
    x, y = (float(_DECIMAL.add(Decimal(word), _HALF)) for word in words[:2])
    return x, y, int(label)


def _index_text(coordinate: float) -> str:
    """Return the exact pixel index of a coordinate: 12.5 -> '12', 0.1 -> '-0.4'."""
    index = _DECIMAL.subtract(Decimal(repr(float(coordinate))), _HALF)
    return f'{index.normalize(_DECIMAL):f}'


def read_image_list(path: str | Path) -> list[str]:
    """Return the image names of a VOC image list: the first word of each line.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: it is empty, names an image twice or outside of the folder, or is not UTF-8.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'{path}: no such image list')
    names = [line.split()[0] for line in read_text(path).splitlines() if line.strip()]
    if not names:
        raise ValueError(f'{path}: expected at least one image, got none')
    seen: set[str] = set()
    for name in names:
        require_image_name(name, path=path)
        if name in seen:
            raise ValueError(f'{path}: expected each image once, got {name} twice')
        seen.add(name)
    return names


def require_image_name(name: str, *, path: str | Path) -> None:
    """Check a name of an image list.

    Raises:
        ValueError: it is not that of a file in a folder; the message names the list, ``path``.
    """
    if not names_a_file(name):
        raise ValueError(f'{path}: expected names of images in the image folder, got {name!r:.200}')


def write_lines(path: str | Path, lines: Iterable[str]) -> None:
    """Write lines to a text file; create missing folders."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(''.join(f'{line}\n' for line in lines))


def image_class_line(name: str, labels: Iterable[int]) -> str:
    """Return a line of ``train_cls.txt``: the image's id and its distinct classes."""
    return ' '.join([name, *(str(label) for label in sorted({int(label) for label in labels}))])


def numeric_image_ids(names: Sequence[str]) -> list[int]:
    """Return image ids for a json: the digits of the names ('2007_000032' -> 2007000032).

    If a name contains other characters or two ids would be equal, the images are numbered from 1 in
    the order of the list. ``PointVOCDataset`` uses these ids.
    """
    numbers = [whole_number(name.replace('_', '')) for name in names]
    found = [number for number in numbers if number is not None]
    if len(set(found)) == len(names):
        return found
    return list(range(1, len(names) + 1))
