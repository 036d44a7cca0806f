"""Points from instance masks: pixels of a mask, or places drawn about its centre."""

import cv2
import numpy as np


def center_inside(mask: np.ndarray) -> np.ndarray:
    """Pixel of the mask that is nearest to its centre of mass.

    Args:
        mask: (H, W) bool, at least one pixel.

    Returns:
        (2,) float32 (x, y), the centre of a pixel of the mask; of equally near ones the first in
        reading order.

    Raises:
        ValueError: if the mask is empty or not (H, W).
    """
    return nearest_inside(mask, mass_center(mask)[None])[0].astype(np.float32)


def random_inside(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Random pixel of the mask, each with the same probability.

    Args:
        mask: (H, W) bool, at least one pixel.
        rng: source of the choice.

    Returns:
        (2,) float32 (x, y), the centre of a pixel of the mask.

    Raises:
        ValueError: if the mask is empty or not (H, W).
    """
    return sample_inside(mask, rng)[0].astype(np.float32)


def near_center_inside(
    mask: np.ndarray, rng: np.random.Generator, *, spread: float = 0.15
) -> np.ndarray:
    """Pixel of the mask nearest to a point drawn about its centre of mass, as annotators click.

    Args:
        mask: (H, W) bool, at least one pixel.
        rng: source of the draw.
        spread: standard deviation of the draw, relative to the root of the mask's area.

    Returns:
        (2,) float32 (x, y), the centre of a pixel of the mask.

    Raises:
        ValueError: if the mask is empty or not (H, W).
    """
    center_xy = mass_center(mask)
    sigma = spread * np.sqrt(np.count_nonzero(mask))
    return nearest_inside(mask, scatter(center_xy, rng, sigma=sigma))[0].astype(np.float32)


def mass_center(mask: np.ndarray) -> np.ndarray:
    """Mean of the centres of a mask's pixels; may lie outside of the mask.

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
    # One rounding only: the sums are whole, so that the centre of a symmetric mask is exact.
    return np.array([moments['m10'] + 0.5 * count, moments['m01'] + 0.5 * count]) / count


def scatter(
    center_xy: np.ndarray, rng: np.random.Generator, *, sigma: float, count: int = 1
) -> np.ndarray:
    """Points drawn from a round Gaussian, on any side of any border.

    Args:
        center_xy: (2,) mean (x, y).
        rng: source of the draws; a larger ``count`` begins with the points of a smaller one.
        sigma: standard deviation of x and of y, in pixels; 0 gives the mean.
        count: number of points.

    Returns:
        (count, 2) float64 (x, y).
    """
    return np.asarray(center_xy) + sigma * rng.standard_normal((count, 2))


def sample_inside(mask: np.ndarray, rng: np.random.Generator, *, count: int = 1) -> np.ndarray:
    """Random pixels of the mask, each with the same probability.

    Args:
        mask: (H, W) bool, at least one pixel.
        rng: source of the choice; a larger ``count`` begins with the points of a smaller one.
        count: number of points; they differ until each pixel has been taken once.

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


def nearest_inside(mask: np.ndarray, targets_xy: np.ndarray) -> np.ndarray:
    """Pixel of the mask nearest to each target.

    Args:
        mask: (H, W) bool, at least one pixel.
        targets_xy: (T, 2) finite (x, y), anywhere. They are served in order, and each pixel once
            until all of them are taken.

    Returns:
        (T, 2) float64 (x, y), centres of pixels of the mask; of equally near ones the first in
        reading order.

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


def _nearest_pixel(mask: np.ndarray, x: float, y: float) -> tuple[int, int]:
    """Row and column of the pixel whose centre is nearest; looks around the target first."""
    height, width = mask.shape
    reach = 8.0
    while True:
        # Windows hold the centres at most `reach` away, and so each that is nearer than these.
        left, top = max(int(np.ceil(x - reach - 0.5)), 0), max(int(np.ceil(y - reach - 0.5)), 0)
        right, bottom = int(np.floor(x + reach + 0.5)), int(np.floor(y + reach + 0.5))
        rows, cols = np.nonzero(mask[top : max(bottom, 0), left : max(right, 0)])
        squared = np.square(cols + (left + 0.5) - x) + np.square(rows + (top + 0.5) - y)
        is_whole = left == 0 and top == 0 and right >= width and bottom >= height
        if len(rows) and (is_whole or squared.min() <= reach**2):
            best = squared.argmin()
            return int(rows[best]) + top, int(cols[best]) + left
        reach *= 4


def _require_pixels(mask: np.ndarray) -> None:
    if mask.ndim != 2:
        raise ValueError(f'expected an (H, W) mask, got {mask.shape}')
    if not mask.any():
        raise ValueError(f'expected a mask with pixels, got an empty one of {mask.shape}')
