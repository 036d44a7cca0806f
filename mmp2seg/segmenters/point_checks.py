"""What point segmenters check of the points of an image, and which points take part.

Dimensions: ``N`` points; ``B`` clicks on background.
"""

import numpy as np
import numpy.typing as npt

from mmp2seg.ops.coords import misplaced_points, points_to_pixels
from mmp2seg.ops.image_edge import onto_last_pixel

IGNORE_INDEX = 255


def checked_points(
    image_rgb: npt.NDArray[np.uint8],
    points_xy: npt.ArrayLike,
    labels: npt.ArrayLike,
    num_classes: int,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Return the points ``(N, 2)`` and their classes ``(N,)`` as arrays.

    Raises:
        ValueError: the image has another shape or dtype, a label is not a class, or points and
            labels differ in number.
    """
    if image_rgb.ndim != 3 or image_rgb.shape[2] != 3 or image_rgb.dtype != np.uint8:
        raise ValueError(
            f'expected an image (H, W, 3) uint8, got {image_rgb.shape} {image_rgb.dtype}'
        )
    if not 1 <= num_classes < IGNORE_INDEX:
        raise ValueError(f'expected 1 to {IGNORE_INDEX - 1} classes, got {num_classes}')
    points = onto_last_pixel(_positions(points_xy), *image_rgb.shape[:2])
    classes = np.asarray(labels, dtype=np.int64).reshape(-1)
    if len(points) != len(classes):
        raise ValueError(f'expected a label for each point, got {len(classes)} for {len(points)}')
    wrong = classes[(classes < 0) | (classes >= num_classes)]
    if len(wrong):
        raise ValueError(f'expected labels in 0..{num_classes - 1}, got {wrong[0]}')
    return points, classes


def drop_reasons(
    points_xy: npt.NDArray[np.float64], classes: npt.NDArray[np.int64], height: int, width: int
) -> npt.NDArray[np.object_]:
    """Return '' for the points that take part: inside the image, and the first of their pixel."""
    reasons = misplaced_points(points_xy, classes, height, width)
    taken: dict[tuple[int, int], int] = {}
    valid = np.flatnonzero(reasons == '')
    for n, pixel in zip(valid, points_to_pixels(points_xy[valid]), strict=True):
        first = taken.setdefault(tuple(pixel), n)
        if first != n:
            reasons[n] = 'duplicate' if classes[first] == classes[n] else 'no_pixels'
    return reasons


def clicks_inside(
    clicks_xy: npt.ArrayLike | None, height: int, width: int
) -> npt.NDArray[np.float64]:
    """Return the clicks inside the image, ``(B, 2)``, each position once."""
    clicks = onto_last_pixel(_positions([] if clicks_xy is None else clicks_xy), height, width)
    return clicks[misplaced_points(clicks, np.zeros(len(clicks)), height, width) == '']


def _positions(points_xy: npt.ArrayLike) -> npt.NDArray[np.float64]:
    points = np.asarray(points_xy, dtype=np.float64)
    if points.size == 0:
        return np.zeros((0, 2))
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f'expected points (N, 2), got the shape {points.shape}')
    return points
