"""Candidate masks of points: choose one of each point, and settle who gets a pixel of several.

Dimensions: ``H, W`` pixels of the image; ``C`` candidates of a point; ``N`` points.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]


def clicks_held(masks: Mask, pixels: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Count the clicks in each mask.

    Args:
        masks: ``(C, H, W)`` bool.
        pixels: ``(M, 2)`` row and column of clicks.

    Returns:
        np.ndarray: ``(C,)`` int64.
    """
    rows, cols = pixels.reshape(-1, 2).T
    counts: npt.NDArray[np.int64] = masks[:, rows, cols].sum(1, dtype=np.int64)
    return counts


def best_candidate(
    scores: npt.NDArray[np.floating[Any]],
    *,
    areas: npt.NDArray[np.integer[Any]],
    holds_click: npt.NDArray[np.bool_],
    num_others: npt.NDArray[np.integer[Any]],
) -> int:
    """Return the candidate with the best score among those that fit the clicks best.

    A candidate without pixels comes last. Then one without its own click; then the one that holds
    more clicks of others, which cannot be one object; then the lower score; then the later one.

    Args:
        scores: ``(C,)``.
        areas: ``(C,)`` pixels.
        holds_click: ``(C,)``, whether a candidate holds the click of its point.
        num_others: ``(C,)``, how many other clicks it holds. Zeros: they do not matter.
    """
    keys = [
        (int(area == 0), int(not holds), int(others), -float(score), index)
        for index, (score, area, holds, others) in enumerate(
            zip(scores, areas, holds_click, num_others, strict=True)
        )
    ]
    return min(keys)[-1]


def mask_ious(masks: Mask, other: Mask) -> npt.NDArray[np.float64]:
    """Return the IoU of each of ``(C, H, W)`` masks with one ``(H, W)``; 0 for two empty ones."""
    inter = (masks & other).sum((1, 2))
    union = (masks | other).sum((1, 2))
    ious: npt.NDArray[np.float64] = inter / np.maximum(union, 1)
    return ious


def paint_smaller_on_top(
    areas: Sequence[int], mask_of: Callable[[int], Mask], *, size: tuple[int, int]
) -> npt.NDArray[np.int32]:
    """Draw masks into one instance map; a pixel of several masks goes to the smallest of them.

    What lies on an object is smaller than it. Of equally large masks, the first gets the pixel.

    Args:
        areas: N pixels of each mask.
        mask_of: gives mask ``(H, W)`` number n; called once each, so that they need not be in
            memory together.
        size: ``(H, W)``.

    Returns:
        np.ndarray: ``(H, W)`` int32, 0 = none, ``n + 1`` = mask n.
    """
    instance_map = np.zeros(size, np.int32)
    for index in sorted(range(len(areas)), key=lambda n: (-areas[n], -n)):
        instance_map[mask_of(index)] = index + 1
    return instance_map
