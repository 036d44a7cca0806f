"""Points from instance masks: one pixel of each mask, always inside it."""

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
    points_xy = _pixel_centres(mask)
    distance = np.square(points_xy - points_xy.mean(0)).sum(1)
    return points_xy[np.argmin(distance)].astype(np.float32)


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
    points_xy = _pixel_centres(mask)
    return points_xy[rng.integers(len(points_xy))].astype(np.float32)


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
    points_xy = _pixel_centres(mask)
    drawn = points_xy.mean(0) + spread * np.sqrt(len(points_xy)) * rng.standard_normal(2)
    return points_xy[np.argmin(np.square(points_xy - drawn).sum(1))].astype(np.float32)


def _pixel_centres(mask: np.ndarray) -> np.ndarray:
    """Centres (P, 2) float64 (x, y) of the mask's pixels."""
    if mask.ndim != 2:
        raise ValueError(f'expected an (H, W) mask, got {mask.shape}')
    rows, cols = np.nonzero(mask)
    if not len(rows):
        raise ValueError(f'expected a mask with pixels, got an empty one of {mask.shape}')
    return np.stack([cols, rows], 1) + 0.5
