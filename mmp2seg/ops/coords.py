"""The coordinate convention, fixed once for the whole package.

A point is ``(x, y)`` in continuous image coordinates, as in mmdet's boxes: pixel ``(col, row)``
covers ``[col, col + 1) x [row, row + 1)`` and its centre is ``(col + 0.5, row + 0.5)``.
A flip is ``W - x``, a resize ``x * s``. A file that stores pixel indices gets +0.5 on reading.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mmp2seg.ops.image_edge import BORDER_MARGIN


def pixel_centers(
    height: int,
    width: int,
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Return the centres of all pixels of a grid.

    Returns:
        Tensor: ``(2, H, W)`` in ``(x, y)`` order; entry ``[:, row, col]`` is
        ``(col + 0.5, row + 0.5)``.
    """
    xs = torch.arange(width, device=device, dtype=dtype) + 0.5
    ys = torch.arange(height, device=device, dtype=dtype) + 0.5
    return torch.stack([xs.expand(height, width), ys[:, None].expand(height, width)])


def points_to_pixels(points_xy: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Return the index of the pixel that contains each point.

    Args:
        points_xy: ``(N, 2)`` floats, ``(x, y)``.

    Returns:
        np.ndarray: ``(N, 2)`` int64, ``(row, col)``; may lie outside an image.
    """
    xy = np.asarray(points_xy, dtype=np.float64).reshape(-1, 2)
    return np.floor(xy[:, ::-1]).astype(np.int64)


def points_inside(points_xy: npt.ArrayLike, height: int, width: int) -> npt.NDArray[np.bool_]:
    """Return which points lie inside an ``H x W`` image; nan counts as outside.

    Args:
        points_xy: ``(N, 2)`` floats, ``(x, y)``.

    Returns:
        np.ndarray: ``(N,)`` bool. Row 0 and column 0 are inside, ``x == W`` is not.
    """
    x, y = np.asarray(points_xy, dtype=np.float64).reshape(-1, 2).T
    return (x >= 0) & (x < width) & (y >= 0) & (y < height)


def keep_off_border(points_xy: Tensor, height: int, width: int) -> Tensor:
    """Move points that are so close to the border that rounding could put them outside.

    A point closer than ``BORDER_MARGIN * side`` to the right or the lower border moves to that
    distance. It stays on its pixel, and a later resize or conversion to float32 cannot round it out
    of the image. All other points, including those outside the image, do not move.

    Args:
        points_xy: ``(..., 2)`` floats, ``(x, y)``.

    Returns:
        Tensor: ``(..., 2)`` of the same dtype.
    """
    sides = points_xy.new_tensor([width, height])
    farthest = sides * (1 - BORDER_MARGIN)
    return torch.where(points_xy < sides, torch.minimum(points_xy, farthest), points_xy)


def misplaced_points(
    points_xy: npt.ArrayLike, labels: npt.ArrayLike, height: int, width: int
) -> npt.NDArray[np.object_]:
    """Find the points that cannot have an instance, whatever the maps of the image contain.

    Args:
        points_xy: ``(N, 2)`` floats, ``(x, y)``.
        labels: ``(N,)`` integers.

    Returns:
        np.ndarray: ``(N,)`` str objects: ``'outside_image'``, ``'duplicate'`` (same place and class
        as an earlier point) or ``''`` for a valid point.
    """
    points_xy = np.asarray(points_xy).reshape(-1, 2)
    reasons = np.full(len(points_xy), '', dtype=object)
    rows = np.column_stack([points_xy, np.asarray(labels).reshape(-1)])
    _, first = np.unique(rows, axis=0, return_index=True)
    reasons[np.setdiff1d(np.arange(len(rows)), first)] = 'duplicate'
    reasons[~points_inside(points_xy, height, width)] = 'outside_image'
    return reasons
