"""Smooth random fields on the pixel grid."""

import cv2
import numpy as np
from numpy.typing import NDArray

# Standard deviation of unit white noise after cubic interpolation, averaged over positions.
_CUBIC_STD = 0.84


def smooth_noise(
    shape: tuple[int, int], *, cell: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Draw value noise: normal deviates on a coarse grid, interpolated to every pixel.

    Args:
        shape: (H, W) of the field.
        cell: spacing of the grid's nodes in pixels, > 0; about the size of the field's blobs. It is
            rounded to an integer of at least 1; 1 gives white noise.
        rng: random generator.

    Returns:
        (H, W) float32, mean about 0, standard deviation about 1. (0, W) and (H, 0) are allowed.

    Raises:
        ValueError: if ``cell`` is not positive.
    """
    if not cell > 0:
        raise ValueError(f'expected cell > 0, got {cell}')
    height, width = shape
    step = max(round(float(cell)), 1)
    if step == 1 or height == 0 or width == 0:
        return rng.standard_normal((height, width), dtype=np.float32)
    # One additional row and column of nodes let the field start at a random phase of the grid.
    rows, cols = -(-height // step) + 1, -(-width // step) + 1
    nodes = rng.standard_normal((rows, cols), dtype=np.float32)
    top, left = rng.integers(step, size=2)
    # Interpolate at the pixels only, so that a coarse grid over a small field stays cheap.
    grid_x = np.tile((np.arange(width) + left) / step, (height, 1))
    grid_y = np.tile((np.arange(height)[:, None] + top) / step, (1, width))
    field = cv2.remap(
        nodes,
        grid_x.astype(np.float32),
        grid_y.astype(np.float32),
        interpolation=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REFLECT_101 if min(rows, cols) > 1 else cv2.BORDER_REPLICATE,
    )
    return field.astype(np.float32, copy=False) / np.float32(_CUBIC_STD)
