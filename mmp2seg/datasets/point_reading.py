"""Read points from pairs of numbers, COCO annotations, and the images of a point json."""

import math
import re
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any

from mmp2seg.files.json_reading import is_finite_number

# A coordinate beyond this many pixels means a broken file; float32 would still hold it.
FARTHEST = 1e6
_NUMBER = re.compile(r'[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(nan|inf|infinity)', re.I | re.A)


def number_pair(values: Any, *, where: str, text: bool = False) -> tuple[float, float]:
    """Convert two numbers to floats, which can be nan or infinite.

    Args:
        values: two numbers of a json; booleans and strings are none.
        where: file and place, for the error.
        text: the values are two words of a text file instead, such as '12.5'.

    Raises:
        ValueError: the values are not two numbers; the message begins with ``where``.
    """
    convert = _of_word if text else _of_number
    try:
        if isinstance(values, str | dict):  # '12' is not the point (1, 2)
            raise TypeError
        x, y = (convert(value) for value in values)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f'{where}: expected two numbers x, y, got {values!r:.60}') from None
    return x, y


def is_box(values: Any) -> bool:
    """Return whether a value of a json is a list of four finite numbers."""
    return isinstance(values, list) and len(values) == 4 and all(map(is_finite_number, values))


def parse_point(values: Any, *, where: str, text: bool = False) -> list[float]:
    """Return ``[x, y]`` as finite floats.

    Args:
        values: two numbers; see :func:`number_pair`.
        where: file and place, for the error.
        text: see :func:`number_pair`.

    Raises:
        ValueError: the values are not two finite numbers, or more than a million pixels away; the
            message begins with ``where``.
    """
    try:
        x, y = number_pair(values, where=where, text=text)
    except ValueError:
        x = y = math.nan
    if not (math.isfinite(x) and math.isfinite(y)):
        raise ValueError(f'{where}: expected a point of two finite numbers x y, got {values!r:.60}')
    if max(abs(x), abs(y)) > FARTHEST:
        raise ValueError(
            f'{where}: expected a point within {FARTHEST:.0f} pixels, got {values!r:.60}'
        )
    return [x, y]


def _of_number(value: Any) -> float:
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError
    return float(value)


def _of_word(value: Any) -> float:
    if not isinstance(value, str) or not _NUMBER.fullmatch(value.strip()):  # float() takes '1_0'
        raise ValueError
    return float(value)


def read_background_points(image: Mapping, *, where: str) -> list[list[float]]:
    """Return the background clicks of an image of a point json, its ``background_points``.

    Args:
        image: entry of ``images``; without ``background_points`` it has no background clicks.
        where: file and place, for errors.

    Returns:
        list of ``[x, y]``, finite floats, continuous; can be outside the image.

    Raises:
        ValueError: ``background_points`` is not a list of two finite numbers each; the message
            begins with ``where``.
    """
    points = image.get('background_points', [])
    if not isinstance(points, list):
        raise ValueError(f'{where}: expected background_points [[x, y], ...], got {points!r:.60}')
    return [
        parse_point(point, where=f'{where}: background_points[{index}]')
        for index, point in enumerate(points)
    ]


def check_point_source(point_source: str) -> None:
    """Check the name of a point source.

    Raises:
        ValueError: it is not ``'point'``, ``'bbox'`` or ``'keypoints'``.
    """
    if point_source not in _READERS:
        raise ValueError(
            f'expected point_source to be one of {tuple(_READERS)}, got {point_source!r}'
        )


def read_annotation_point(
    annotation: Mapping, *, point_source: str = 'point', where: str
) -> list[float]:
    """Return the point of a COCO annotation.

    Args:
        annotation: an entry of a COCO json.
        point_source: ``'point'`` (the ``[x, y]`` of the annotation, in continuous coordinates),
            ``'bbox'`` (the centre of its box ``[x, y, w, h]``) or ``'keypoints'`` (its first
            labelled keypoint, ``v > 0``; COCO keypoints are pixel indices, so 0.5 is added).
        where: file and place, for errors.

    Returns:
        ``[x, y]``, finite floats, continuous; can be outside the image.

    Raises:
        ValueError: the annotation has no such point; the message begins with ``where``.
    """
    return _READERS[point_source](annotation, where)


def _given_point(annotation: Mapping, where: str) -> list[float]:
    return parse_point(annotation.get('point'), where=where)


def _center_of_bbox(annotation: Mapping, where: str) -> list[float]:
    bbox = annotation.get('bbox')
    try:
        if isinstance(bbox, str | dict):
            raise TypeError
        x, y, width, height = map(_of_number, bbox)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{where}: expected a 'bbox' of four numbers, got {bbox!r:.60}") from None
    return parse_point((x + width / 2, y + height / 2), where=where)


def _first_keypoint(annotation: Mapping, where: str) -> list[float]:
    keypoints = annotation.get('keypoints')
    try:
        numbers = [_of_number(number) for number in keypoints]
    except (TypeError, ValueError, OverflowError):
        numbers = []
    for x, y, visibility in zip(numbers[::3], numbers[1::3], numbers[2::3]):
        if visibility > 0:
            return parse_point((x + 0.5, y + 0.5), where=where)
    raise ValueError(f"{where}: expected 'keypoints' with a labelled one, got {keypoints!r:.60}")


_READERS: dict[str, Callable[[Mapping, str], list[float]]] = {
    'point': _given_point,
    'bbox': _center_of_bbox,
    'keypoints': _first_keypoint,
}
