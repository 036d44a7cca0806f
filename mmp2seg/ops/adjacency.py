"""Find the objects of an image that are close to another object of their class."""

from collections.abc import Iterable, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mmp2seg.ops.rle import Rle, decode_rle


def touching_objects(
    masks: NDArray[np.bool_] | Sequence[Rle],
    labels: Sequence[int],
    *,
    gap: int = 2,
    void: NDArray[np.bool_] | None = None,
    void_gap: int = 6,
) -> NDArray[np.bool_]:
    """Find the objects with another object of the same label at most ``gap`` pixels away.

    The distance of two objects is the smallest Chebyshev distance between their pixel centres: 0 if
    they overlap, 1 for neighbours (also diagonal ones), 2 with one pixel in between.

    PASCAL VOC separates its objects by a void band of about five pixels. With ``void``, two objects
    also touch if a path over void pixels only connects them in at most ``void_gap`` steps to one of
    the 8 neighbours. On sample images of VOC, objects separated by a band were 4 to 6 steps apart
    and all others 9 or more. Without a limit, a void region would connect all objects around it.

    Args:
        masks: ``(N, H, W)`` bool, or ``N`` RLE dicts, which are decoded one at a time.
        labels: ``(N,)`` integers.
        gap: Largest distance that counts as touching, in pixels.
        void: ``(H, W)`` bool, the void pixels of the image; None if there are none.
        void_gap: Largest number of steps over void pixels that counts as touching, at least 1.

    Returns:
        NDArray: ``(N,)`` bool. An empty mask touches nothing.

    Raises:
        ValueError: The numbers of labels and masks differ, ``gap`` is below 0 or ``void_gap`` is
            below 1.
    """
    if len(masks) != len(labels):
        raise ValueError(f'expected a label for each mask, got {len(labels)} for {len(masks)}')
    if gap < 0:
        raise ValueError(f'expected a gap of at least 0 pixels, got {gap}')
    if void_gap < 1:
        raise ValueError(f'expected a void_gap of at least 1 step, got {void_gap}')
    decoded = (decode_rle(mask) if isinstance(mask, dict) else mask for mask in masks)
    return _touching(decoded, labels, gap, void, void_gap)


def adjacent_same_class(
    instance_map: NDArray[np.integer[Any]], labels: Sequence[int], *, gap: int = 2
) -> NDArray[np.bool_]:
    """Apply :func:`touching_objects` to the objects of an instance map.

    Args:
        instance_map: ``(H, W)`` integers, 0 = none, i + 1 = object i.
        labels: ``(N,)`` integer class of each object.
        gap: Largest distance that counts as touching, in pixels.

    Returns:
        NDArray: ``(N,)`` bool; an object without pixels touches nothing.
    """
    masks = (instance_map == number for number in range(1, len(labels) + 1))
    return _touching(masks, labels, gap, None, 1)


# A mask cropped to its bounding box, and the column and row of the box's first pixel.
_Crop = tuple[NDArray[np.uint8], int, int]


def _touching(
    masks: Iterable[NDArray[np.bool_]],
    labels: Sequence[int],
    gap: int,
    void: NDArray[np.bool_] | None,
    void_gap: int,
) -> NDArray[np.bool_]:
    crops = [_crop(mask) for mask in masks]
    touching = np.zeros(len(crops), dtype=bool)
    reach = gap if void is None else max(gap, void_gap)
    for first, (crop, label) in enumerate(zip(crops, labels, strict=True)):
        if crop is None:
            continue
        around = None
        for second in range(first + 1, len(crops)):
            other = crops[second]
            if other is None or labels[second] != label:
                continue
            if (touching[first] and touching[second]) or not _boxes_within(crop, other, reach):
                continue
            around = _surroundings(crop, gap, void, void_gap) if around is None else around
            if _overlap(around, other):
                touching[[first, second]] = True
    return touching


def _crop(mask: NDArray[np.bool_]) -> _Crop | None:
    """Crop a mask to its bounding box; return None for an empty mask."""
    pixels = np.ascontiguousarray(mask, dtype=np.uint8)
    x, y, width, height = cv2.boundingRect(pixels)
    return (pixels[y : y + height, x : x + width].copy(), x, y) if width else None


def _dilate(mask: NDArray[np.uint8], reach: int) -> NDArray[np.uint8]:
    side = 2 * reach + 1
    return cv2.dilate(mask, np.ones((side, side), dtype=np.uint8)).astype(np.uint8, copy=False)


def _surroundings(crop: _Crop, gap: int, void: NDArray[np.bool_] | None, void_gap: int) -> _Crop:
    """Return the pixels within ``gap`` pixels, or ``void_gap`` steps over void, of a crop."""
    mask, x, y = crop
    reach = gap if void is None else max(gap, void_gap)
    padded = np.pad(mask, reach)
    around = _dilate(padded, gap)
    if void is not None:
        height, width = padded.shape
        # the void map, cropped to the frame of the padded crop
        passable = np.pad(void.astype(np.uint8), reach)[y : y + height, x : x + width] | padded
        walked = padded
        for _ in range(void_gap - 1):
            walked = _dilate(walked, 1) & passable
        around |= _dilate(walked, 1)
    return around, x - reach, y - reach


def _boxes_within(first: _Crop, second: _Crop, gap: int) -> bool:
    (mask1, x1, y1), (mask2, x2, y2) = first, second
    # the distance of the nearest pixels is the number of pixels between the boxes, plus 1
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
