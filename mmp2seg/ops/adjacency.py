"""Which objects have another object of their class close by."""

import cv2
import numpy as np


def adjacent_same_class(
    instance_map: np.ndarray, labels: np.ndarray, *, gap: int = 2
) -> np.ndarray:
    """Tell the objects that another object of the same class touches or nearly touches.

    Args:
        instance_map: (H, W) integer, 0 = none, i + 1 = object i.
        labels: (N,) integer class of each object.
        gap: largest distance that counts: Chebyshev, between the nearest pixel centres of two
            objects (1 = neighbours, also diagonal ones; 2 = one pixel lies between them).

    Returns:
        (N,) bool; (0,) without objects. An object without pixels is next to none.
    """
    labels = np.asarray(labels)
    adjacent = np.zeros(len(labels), bool)
    kernel = np.ones((2 * gap + 1, 2 * gap + 1), np.uint8)
    for i, label in enumerate(labels):
        mask = (instance_map == i + 1).astype(np.uint8)
        x, y, width, height = cv2.boundingRect(mask)
        if not width:
            continue
        window = (
            slice(max(y - gap, 0), y + height + gap),
            slice(max(x - gap, 0), x + width + gap),
        )
        grown = cv2.dilate(mask[window], kernel).astype(bool)
        near = np.unique(instance_map[window][grown])
        near = near[(near > 0) & (near != i + 1)] - 1
        adjacent[i] = bool((labels[near] == label).any())
    return adjacent
