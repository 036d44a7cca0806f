"""Which objects of an image have another object of their class close by."""

from collections.abc import Iterable, Sequence

import cv2
import numpy as np

from mmp2seg.ops.rle import decode_rle


def touching_objects(
    masks: np.ndarray | Sequence[dict],
    labels: Sequence[int],
    *,
    gap: int = 2,
    void: np.ndarray | None = None,
    void_gap: int = 6,
) -> np.ndarray:
    """Objects with another object of the same label at most ``gap`` pixels away.

    The distance of two objects is the smallest Chebyshev distance of the centres of their pixels:
    0 where they overlap, 1 for neighbours (also diagonal ones), 2 with one pixel between them.

    PASCAL VOC separates its objects by a void band of about five pixels. With ``void`` two objects
    also touch if at most ``void_gap`` steps from pixel to neighbour (also diagonal) lead from one
    to the other over nothing but void pixels. On sample images of VOC it was 4 to 6 steps between
    objects that a band separates, and 9 or more between others; a void region without such a limit
    would join all objects around it.

    Args:
        masks: ``(N, H, W)`` bool, or ``N`` RLE dicts, which are decoded one at a time.
        labels: ``(N,)`` integers.
        gap: Largest distance that still counts, in pixels.
        void: ``(H, W)`` bool, the void pixels of the image; None = none.
        void_gap: Most steps over void pixels that still count, at least 1.

    Returns:
        np.ndarray: ``(N,)`` bool. An empty mask touches nothing.

    Raises:
        ValueError: Another number of labels than of masks, a ``gap`` below 0 or a ``void_gap``
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
    instance_map: np.ndarray, labels: Sequence[int], *, gap: int = 2
) -> np.ndarray:
    """:func:`touching_objects` of the objects of an instance map.

    Args:
        instance_map: ``(H, W)`` integers, 0 = none, i + 1 = object i.
        labels: ``(N,)`` integer class of each object.
        gap: Largest distance that counts, in pixels.

    Returns:
        np.ndarray: ``(N,)`` bool; an object without pixels is next to none.
    """
    masks = (instance_map == number for number in range(1, len(labels) + 1))
    return _touching(masks, labels, gap, None, 1)


# A crop is a mask cut to its box, with the column and row of its first pixel; None: an empty mask.
_Crop = tuple[np.ndarray, int, int]


def _touching(
    masks: Iterable[np.ndarray],
    labels: Sequence[int],
    gap: int,
    void: np.ndarray | None,
    void_gap: int,
) -> np.ndarray:
    crops = [_crop(mask) for mask in masks]
    touching = np.zeros(len(crops), dtype=bool)
    reach = gap if void is None else max(gap, void_gap)
    for first, (crop, label) in enumerate(zip(crops, labels, strict=True)):
        around = None
        for second in range(first + 1, len(crops)):
            if labels[second] != label or (touching[first] and touching[second]):
                continue
            if not _boxes_within(crop, crops[second], reach):
                continue
            around = _surroundings(crop, gap, void, void_gap) if around is None else around
            if _overlap(around, crops[second]):
                touching[[first, second]] = True
    return touching


def _crop(mask: np.ndarray) -> _Crop | None:
    mask = np.ascontiguousarray(mask, dtype=np.uint8)
    x, y, width, height = cv2.boundingRect(mask)
    return (mask[y : y + height, x : x + width].copy(), x, y) if width else None


def _surroundings(crop: _Crop, gap: int, void: np.ndarray | None, void_gap: int) -> _Crop:
    """The pixels at most ``gap`` away from a crop or ``void_gap`` steps over void pixels."""
    mask, x, y = crop
    reach = gap if void is None else max(gap, void_gap)
    padded = np.pad(mask, reach)
    around = cv2.dilate(padded, np.ones((2 * gap + 1, 2 * gap + 1), dtype=np.uint8))
    if void is not None:
        height, width = padded.shape
        # the map, cut to the frame of the padded crop
        passable = np.pad(void.astype(np.uint8), reach)[y : y + height, x : x + width] | padded
        neighbours = np.ones((3, 3), dtype=np.uint8)
        walked = padded
        for _ in range(void_gap - 1):
            walked = cv2.dilate(walked, neighbours) & passable
        around |= cv2.dilate(walked, neighbours)
    return around, x - reach, y - reach


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
