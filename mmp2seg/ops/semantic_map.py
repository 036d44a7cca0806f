"""Resize semantic maps and count their values."""

import cv2
import numpy as np
from numpy.typing import NDArray

from mmp2seg.ops.components import IGNORE


def is_scaled(size: tuple[int, int], full_size: tuple[int, int]) -> bool:
    """Return whether ``size`` is ``full_size`` times a single factor, with sides rounded.

    Args:
        size: (H, W), integers > 0. Each side may be rounded up or down.
        full_size: (H, W), integers > 0.
    """
    # look for a factor with |side - factor * full| < 1 for both sides
    lowest = max((side - 1) / full for side, full in zip(size, full_size, strict=True))
    highest = min((side + 1) / full for side, full in zip(size, full_size, strict=True))
    return lowest < highest


def resize_nearest(index_map: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize an index map; each pixel takes the value at its centre.

    Args:
        index_map: (h, w) uint8.
        size: (H, W) of the result.

    Returns:
        (H, W) uint8; every value occurs in ``index_map``.
    """
    height, width = size
    # cv2.INTER_NEAREST does not sample at pixel centres
    resized = cv2.resize(index_map, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    return resized.astype(np.uint8, copy=False)


def count_values(semantic_map: NDArray[np.uint8], *, num_classes: int) -> NDArray[np.int64]:
    """Count the pixels of the background, of each class and of ignore, in this order.

    Args:
        semantic_map: (H, W) uint8, 0 background, k + 1 = class k, 255 ignore.
        num_classes: number K of classes, background not included.

    Returns:
        (K + 2,) int64.

    Raises:
        ValueError: for a value that is neither in 0..K nor 255.
    """
    counts = np.bincount(semantic_map.ravel(), minlength=IGNORE + 1)
    unknown = np.flatnonzero(counts[num_classes + 1 : IGNORE]) + num_classes + 1
    if unknown.size:
        raise ValueError(
            f'expected 0 (background), 1..{num_classes} (classes) or {IGNORE} (ignore), '
            f'got {unknown[0]}'
        )
    return np.append(counts[: num_classes + 1], counts[IGNORE])


def lacks_classes(num_pixels: NDArray[np.int64]) -> bool:
    """Return whether maps have ignored pixels and none of a class, as binary masks of 0 and 255.

    Args:
        num_pixels: (K + 2,) counts of :func:`count_values`, of a map or summed over many.
    """
    return bool(num_pixels[-1] > 0 and not num_pixels[1:-1].any())
