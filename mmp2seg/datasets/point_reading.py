"""Read points from pairs of numbers, COCO annotations, and the images of a point json."""

import math
import re
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any

from mmp2seg.files.json_reading import is_finite_number

# description of a file whose keypoints are pixel indices, although they can have fractions
KEYPOINT_INDICES = 'points'
_HALF_PIXEL = 0.5
# A coordinate beyond this many pixels means a broken file; float32 would still hold it.
FARTHEST = 1e6
_LARGEST_SIDE = 1e9  # more than any image; integers of pycocotools and torch have an end
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
    """Return whether a value of a json is a list of four finite numbers, none above 1e9."""
    return (
        isinstance(values, list)
        and len(values) == 4
        and all(is_finite_number(value) and abs(value) <= _LARGEST_SIDE for value in values)
    )


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


def keypoint_shift(content: Mapping[str, Any]) -> float:
    """Return what to add to the keypoints of a COCO json to get continuous coordinates.

    COCO's own keypoints are pixel indices, whole numbers, and get .5. Tools such as CVAT write
    coordinates of a continuous canvas, and are recognized by a labelled keypoint that is no whole
    number. The converters of this package write pixel indices with fractions, and
    :data:`KEYPOINT_INDICES` as the description of the file.

    Args:
        content: the json, with the list ``annotations``; what is malformed in it is ignored.
    """
    info = content.get('info')
    if isinstance(info, dict) and info.get('description') == KEYPOINT_INDICES:
        return _HALF_PIXEL
    for annotation in content['annotations']:
        keypoints = annotation.get('keypoints') if isinstance(annotation, dict) else None
        if not isinstance(keypoints, list) or not keypoints:
            continue
        for start in range(0, len(keypoints) - 2, 3):
            x, y, visibility = keypoints[start : start + 3]
            if not all(map(is_finite_number, (x, y, visibility))) or visibility <= 0:
                continue
            if x % 1 or y % 1:
                return 0.0
    return _HALF_PIXEL


def read_annotation_point(
    annotation: Mapping,
    *,
    point_source: str = 'point',
    where: str,
    shift: float = _HALF_PIXEL,
) -> list[float]:
    """Return the point of a COCO annotation.

    Args:
        annotation: an entry of a COCO json.
        point_source: ``'point'`` (the ``[x, y]`` of the annotation, in continuous coordinates),
            ``'bbox'`` (the centre of its box ``[x, y, w, h]``) or ``'keypoints'`` (its first
            labelled keypoint, ``v > 0``).
        where: file and place, for errors.
        shift: what to add to keypoints, see :func:`keypoint_shift`.

    Returns:
        ``[x, y]``, finite floats, continuous; can be outside the image.

    Raises:
        ValueError: the annotation has no such point; the message begins with ``where``.
    """
    return _READERS[point_source](annotation, where, shift)


def _given_point(annotation: Mapping, where: str, shift: float) -> list[float]:
    return parse_point(annotation.get('point'), where=where)


def _center_of_bbox(annotation: Mapping, where: str, shift: float) -> list[float]:
    bbox = annotation.get('bbox')
    try:
        if isinstance(bbox, str | dict):
            raise TypeError
        x, y, width, height = map(_of_number, bbox)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{where}: expected a 'bbox' of four numbers, got {bbox!r:.60}") from None
    return parse_point((x + width / 2, y + height / 2), where=where)


def _first_keypoint(annotation: Mapping, where: str, shift: float) -> list[float]:
    keypoints = annotation.get('keypoints')
    try:
        numbers = [_of_number(number) for number in keypoints]
    except (TypeError, ValueError, OverflowError):
        numbers = []
    for x, y, visibility in zip(numbers[::3], numbers[1::3], numbers[2::3]):
        if visibility > 0:
            return parse_point((x + shift, y + shift), where=where)
    raise ValueError(f"{where}: expected 'keypoints' with a labelled one, got {keypoints!r:.60}")


_READERS: dict[str, Callable[[Mapping, str, float], list[float]]] = {
    'point': _given_point,
    'bbox': _center_of_bbox,
    'keypoints': _first_keypoint,
}
