"""Values and size of a semantic map."""

import cv2
import numpy as np

from mmp2seg.ops.components import IGNORE


def is_scaled(size: tuple[int, int], full_size: tuple[int, int]) -> bool:
    """Whether a size is another one times a factor, each side rounded up or down.

    Args:
        size: (H, W), whole numbers > 0.
        full_size: (H, W), whole numbers > 0.
    """
    # |side - factor * full| < 1 for both sides and one factor
    lowest = max((side - 1) / full for side, full in zip(size, full_size, strict=True))
    highest = min((side + 1) / full for side, full in zip(size, full_size, strict=True))
    return lowest < highest


def resize_nearest(index_map: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize a map of numbers; a pixel takes the number at its centre.

    Args:
        index_map: (h, w) uint8.
        size: (H, W) of the result.

    Returns:
        (H, W) uint8, with no number that the map lacks.
    """
    height, width = size
    # the EXACT one alone goes by pixel centres
    return cv2.resize(index_map, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)


def count_values(semantic_map: np.ndarray, *, num_classes: int) -> np.ndarray:
    """Pixels of background, of each class and of ignore.

    Args:
        semantic_map: (H, W) uint8, 0 background, k + 1 = class k, 255 ignore.
        num_classes: number K of classes without background.

    Returns:
        (K + 2,) int64.

    Raises:
        ValueError: for a value that is neither 0..K nor 255.
    """
    counts = np.bincount(semantic_map.ravel(), minlength=IGNORE + 1)
    unknown = np.flatnonzero(counts[num_classes + 1 : IGNORE]) + num_classes + 1
    if unknown.size:
        raise ValueError(
            f'expected 0 (background), 1..{num_classes} (classes) or {IGNORE} (ignore), '
            f'got {unknown[0]}'
        )
    return np.append(counts[: num_classes + 1], counts[IGNORE])
