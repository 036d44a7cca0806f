"""Which objects of an image touch another one of their class."""

from collections.abc import Sequence

import cv2
import numpy as np

from mmp2seg.ops.rle import decode_rle


def touching_objects(
    masks: np.ndarray | Sequence[dict], labels: Sequence[int], *, gap: int = 2
) -> np.ndarray:
    """Objects with another object of the same label at most ``gap`` pixels away.

    The distance of two objects is the smallest Chebyshev distance of the centres of their pixels:
    0 where they overlap, 1 for neighbours (also diagonal ones), 2 with one pixel between them.

    Args:
        masks: ``(N, H, W)`` bool, or ``N`` RLE dicts, which are decoded one at a time.
        labels: ``(N,)`` integers.
        gap: Largest distance that still counts, in pixels.

    Returns:
        np.ndarray: ``(N,)`` bool. An empty mask touches nothing.
    """
    if len(masks) != len(labels):
        raise ValueError(f'expected a label for each mask, got {len(labels)} for {len(masks)}')
    if gap < 0:
        raise ValueError(f'expected a gap of at least 0 pixels, got {gap}')
    crops = [_crop(decode_rle(mask) if isinstance(mask, dict) else mask) for mask in masks]
    touching = np.zeros(len(masks), dtype=bool)
    for first, (crop, label) in enumerate(zip(crops, labels, strict=True)):
        grown = None
        for second in range(first + 1, len(crops)):
            if labels[second] != label or (touching[first] and touching[second]):
                continue
            if not _boxes_within(crop, crops[second], gap):
                continue
            grown = _grow(crop, gap) if grown is None else grown
            if _overlap(grown, crops[second]):
                touching[[first, second]] = True
    return touching


# A crop is a mask cut to its box, with the column and row of its first pixel; None: an empty mask.
_Crop = tuple[np.ndarray, int, int]


def _crop(mask: np.ndarray) -> _Crop | None:
    mask = np.ascontiguousarray(mask, dtype=np.uint8)
    x, y, width, height = cv2.boundingRect(mask)
    return (mask[y : y + height, x : x + width].copy(), x, y) if width else None


def _grow(crop: _Crop, gap: int) -> _Crop:
    mask, x, y = crop
    kernel = np.ones((2 * gap + 1, 2 * gap + 1), dtype=np.uint8)
    return cv2.dilate(np.pad(mask, gap), kernel), x - gap, y - gap


def _boxes_within(first: _Crop | None, second: _Crop | None, gap: int) -> bool:
    if first is None or second is None:
        return False
    (mask1, x1, y1), (mask2, x2, y2) = first, second
    # number of pixels between the boxes + 1 is the distance of the pixels at their borders
    between_x = max(x1, x2) - min(x1 + mask1.shape[1], x2 + mask2.shape[1])
    between_y = max(y1, y2) - min(y1 + mask1.shape[0], y2 + mask2.shape[0])
    return max(between_x, between_y) + 1 <= gap or max(between_x, between_y) < 0


def _overlap(first: _Crop, second: _Crop) -> bool:
    (mask1, x1, y1), (mask2, x2, y2) = first, second
    left, right = max(x1, x2), min(x1 + mask1.shape[1], x2 + mask2.shape[1])
    top, bottom = max(y1, y2), min(y1 + mask1.shape[0], y2 + mask2.shape[0])
    if left >= right or top >= bottom:
        return False
    part1 = mask1[top - y1 : bottom - y1, left - x1 : right - x1]
    part2 = mask2[top - y2 : bottom - y2, left - x2 : right - x2]
    return bool(np.any(part1 & part2))
