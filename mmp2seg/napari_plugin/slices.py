"""The points of a Points layer by the slice of the image that they are in, in the package's frame.

napari's coordinates are ``(..., row, column)`` with the centre of a pixel at whole numbers; those
of this package are ``(x, y)`` with the centre at .5.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class SlicePoints:
    """The points in one slice.

    Attributes:
        index: of the slice, one number for each axis before rows and columns.
        rows: ``(n,)`` int64, the places of the points in their layer.
        points_xy: ``(n, 2)`` float64 ``(x, y)``.
        classes: n names.
    """

    index: tuple[int, ...]
    rows: npt.NDArray[np.int64]
    points_xy: npt.NDArray[np.float64]
    classes: tuple[str, ...]


def points_by_slice(
    positions: npt.ArrayLike,
    classes: Sequence[str],
    *,
    rows: Sequence[int],
    shape: Sequence[int],
    current: tuple[int, ...],
    only_current: bool,
) -> list[SlicePoints]:
    """Group points by slice.

    Args:
        positions: ``(N, D)`` floats in pixels of the image, as napari counts them. NaN in the axes
            before rows and columns: the point is in every slice, and belongs to the current one.
        classes: N names.
        rows: N places of the points in their layer.
        shape: the D sizes of the image, without colours.
        current: index of the slice that is shown.
        only_current: leave the points of other slices out.

    Returns:
        list: the slices with points, in the order of their indices.

    Raises:
        ValueError: a point is in no slice, or its row or column is not finite.
    """
    values = np.asarray(positions, np.float64).reshape(len(rows), len(shape))
    broken = np.flatnonzero(~np.isfinite(values[:, -2:]).all(1))
    if len(broken):
        row, column = values[broken[0], -2:]
        raise ValueError(
            f'expected points with finite rows and columns, got ({row:g}, {column:g}) of point '
            f'{rows[broken[0]]}'
        )
    leading = np.where(np.isnan(values[:, :-2]), np.array(current, float), values[:, :-2])
    indices = np.floor(leading + 0.5).astype(np.int64)
    groups: dict[tuple[int, ...], list[int]] = {}
    for place, index in enumerate(map(tuple, indices.tolist())):
        if only_current and index != tuple(current):
            continue
        if any(not 0 <= one < size for one, size in zip(index, shape, strict=False)):
            raise ValueError(
                f'expected points in the slices of the image, {tuple(shape[:-2])}, got point '
                f'{rows[place]} in slice {index}'
            )
        groups.setdefault(index, []).append(place)
    return [
        SlicePoints(
            index,
            np.array([rows[place] for place in places], np.int64),
            values[places][:, [-1, -2]] + 0.5,
            tuple(classes[place] for place in places),
        )
        for index, places in sorted(groups.items())
    ]


def class_names_of(values: Sequence[Any], rows: Sequence[int]) -> tuple[str, ...]:
    """Return the class names in a column of a layer's features.

    Whole numbers become names without a point.

    Args:
        values: one for each point.
        rows: the places of the points in their layer, for errors.

    Raises:
        ValueError: points have none; the message has their places.
    """
    names = tuple(_name(value) for value in values)
    missing = [row for row, name in zip(rows, names, strict=True) if not name]
    if missing:
        shown = ', '.join(map(str, missing[:5])) + (', ...' if len(missing) > 5 else '')
        raise ValueError(f'expected a class for each point, got none for the points {shown}')
    return names


def _name(value: Any) -> str:
    if value is None or value is np.ma.masked:
        return ''
    if isinstance(value, float | np.floating):
        if not np.isfinite(value):
            return ''
        if value == int(value):
            value = int(value)
    text = str(value).strip()
    return '' if text in ('nan', '<NA>', 'None') else text
