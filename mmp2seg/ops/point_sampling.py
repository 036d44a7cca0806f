"""Sample points from an instance mask: pixels of the mask, or positions around its centre."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray


def center_inside(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the pixel of the mask that is nearest to its centre of mass.

    Args:
        mask: (H, W) bool, at least one pixel.

    Returns:
        (2,) float32 (x, y), the centre of a pixel of the mask; among equally near pixels, the first
        in row order.

    Raises:
        ValueError: if the mask is empty or not (H, W).
    """
    nearest: NDArray[np.float64] = nearest_inside(mask, mass_center(mask)[None])[0]
    return nearest.astype(np.float32)


def random_inside(mask: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw a pixel of the mask, each with the same probability.

    Args:
        mask: (H, W) bool, at least one pixel.
        rng: random generator.

    Returns:
        (2,) float32 (x, y), the centre of a pixel of the mask.

    Raises:
        ValueError: if the mask is empty or not (H, W).
    """
    drawn: NDArray[np.float64] = sample_inside(mask, rng)[0]
    return drawn.astype(np.float32)


def near_center_inside(
    mask: NDArray[np.bool_], rng: np.random.Generator, *, spread: float = 0.15
) -> NDArray[np.float32]:
    """Draw a position around the centre of mass, like a click, and move it onto the mask.

    Args:
        mask: (H, W) bool, at least one pixel.
        rng: random generator.
        spread: standard deviation of the draw, relative to the square root of the mask's area.

    Returns:
        (2,) float32 (x, y), the centre of the nearest pixel of the mask.

    Raises:
        ValueError: if the mask is empty or not (H, W).
    """
    center_xy = mass_center(mask)
    sigma = spread * np.sqrt(np.count_nonzero(mask))
    drawn_xy = scatter(center_xy, rng, sigma=sigma)
    nearest: NDArray[np.float64] = nearest_inside(mask, drawn_xy)[0]
    return nearest.astype(np.float32)


def mass_center(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the mean of the mask's pixel centres, which may lie outside the mask.

    Args:
        mask: (H, W) bool, at least one pixel.

    Returns:
        (2,) float64 (x, y).

    Raises:
        ValueError: if the mask is empty or not (H, W).
    """
    _require_pixels(mask)
    moments = cv2.moments(np.ascontiguousarray(mask).view(np.uint8), binaryImage=True)
    count = moments['m00']
    # The sums are exact, and only the division rounds. So the centre of a symmetric mask is exact.
    return np.array([moments['m10'] + 0.5 * count, moments['m01'] + 0.5 * count]) / count


def scatter(
    center_xy: ArrayLike, rng: np.random.Generator, *, sigma: float, count: int = 1
) -> NDArray[np.float64]:
    """Draw points from an isotropic Gaussian; they may lie outside the mask and the image.

    Args:
        center_xy: (2,) mean (x, y).
        rng: random generator.
        sigma: standard deviation of x and of y, in pixels; 0 gives the mean.
        count: number of points; the first points do not depend on it.

    Returns:
        (count, 2) float64 (x, y).
    """
    return np.asarray(center_xy, dtype=np.float64) + sigma * rng.standard_normal((count, 2))


def sample_inside(
    mask: NDArray[np.bool_], rng: np.random.Generator, *, count: int = 1
) -> NDArray[np.float64]:
    """Draw pixels of the mask, each with the same probability.

    Args:
        mask: (H, W) bool, at least one pixel.
        rng: random generator.
        count: number of points; the first points do not depend on it. No pixel is drawn twice
            before all have been drawn once.

    Returns:
        (count, 2) float64 (x, y), centres of pixels of the mask.

    Raises:
        ValueError: if the mask is empty or not (H, W).
    """
    _require_pixels(mask)
    pixels = np.flatnonzero(mask)
    chosen: list[int] = []
    while len(chosen) < count:
        number = int(rng.integers(len(pixels)))
        if number not in chosen or len(chosen) >= len(pixels):
            chosen.append(number)
    rows, cols = np.divmod(pixels[chosen], mask.shape[1])
    return np.stack([cols, rows], 1) + 0.5


def nearest_inside(
    mask: NDArray[np.bool_], targets_xy: NDArray[np.floating[Any]]
) -> NDArray[np.float64]:
    """Find the pixel of the mask nearest to each target.

    Args:
        mask: (H, W) bool, at least one pixel.
        targets_xy: (T, 2) finite (x, y), anywhere. Earlier targets choose first, and no pixel is
            chosen twice before all have been chosen once.

    Returns:
        (T, 2) float64 (x, y), centres of pixels of the mask; among equally near pixels, the first
        in row order.

    Raises:
        ValueError: if the mask is empty or not (H, W).
    """
    _require_pixels(mask)
    free = mask if len(targets_xy) == 1 else mask.copy()
    nearest = np.zeros((len(targets_xy), 2))
    for place, target_xy in zip(nearest, targets_xy):
        row, col = _nearest_pixel(free, *target_xy)
        place[:] = col + 0.5, row + 0.5
        if len(targets_xy) > 1:
            free[row, col] = False
            if not free.any():
                free = mask.copy()
    return nearest


def _nearest_pixel(mask: NDArray[np.bool_], x: float, y: float) -> tuple[int, int]:
    """Return row and column of the pixel with the nearest centre; searches growing windows."""
    height, width = mask.shape
    reach = 8.0
    while True:
        # The window holds every centre at most `reach` away: a hit within `reach` is the nearest.
        left, top = max(int(np.ceil(x - reach - 0.5)), 0), max(int(np.ceil(y - reach - 0.5)), 0)
        right, bottom = int(np.floor(x + reach + 0.5)), int(np.floor(y + reach + 0.5))
        rows, cols = np.nonzero(mask[top : max(bottom, 0), left : max(right, 0)])
        squared = np.square(cols + (left + 0.5) - x) + np.square(rows + (top + 0.5) - y)
        is_whole = left == 0 and top == 0 and right >= width and bottom >= height
        if len(rows) and (is_whole or squared.min() <= reach**2):
            best = squared.argmin()
            return int(rows[best]) + top, int(cols[best]) + left
        reach *= 4


def _require_pixels(mask: NDArray[np.bool_]) -> None:
    if mask.ndim != 2:
        raise ValueError(f'expected an (H, W) mask, got {mask.shape}')
    if not mask.any():
        raise ValueError(f'expected a mask with pixels, got an empty one of {mask.shape}')
