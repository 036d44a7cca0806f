"""Assign masks to points, and draw a semantic map of the assigned masks."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from mmp2seg.ops.coords import points_inside, points_to_pixels
from mmp2seg.ops.rle import decode_rle


@dataclasses.dataclass(frozen=True, slots=True)
class ScoredMask:
    """A mask of an image.

    Attributes:
        rle: compressed RLE that has the size of the image.
        score: higher is better.
        point: index of the only point that can be assigned the mask, whether or not it is inside;
            None = any point inside the mask.
        label: class 0..K-1 of the points that can be assigned the mask; None = any class.
    """

    rle: dict
    score: float
    point: int | None = None
    label: int | None = None


def choose_masks(
    masks: Sequence[ScoredMask], points_xy: np.ndarray, labels: np.ndarray
) -> np.ndarray:
    """Choose the best mask of each point: by highest score, then smallest area, then order.

    Args:
        masks: masks of one image; they are decoded one at a time. Empty masks are never chosen.
        points_xy: ``(N, 2)`` continuous ``(x, y)``; a point outside the image is inside no mask.
        labels: ``(N,)`` classes 0..K-1.

    Returns:
        ``(N,)`` int64 indices of masks, -1 for a point without a mask. Points may share a mask.
    """
    labels, pixels = np.asarray(labels).reshape(-1), points_to_pixels(points_xy)
    chosen = np.full(len(labels), -1, np.int64)
    best = [(-np.inf, 0)] * len(labels)
    for index, mask in enumerate(masks):
        pixel_map = decode_rle(mask.rle)
        area = int(pixel_map.sum())
        if not area:
            continue
        if mask.point is not None:
            may_take = np.arange(len(labels)) == mask.point
        else:
            may_take = points_inside(points_xy, *pixel_map.shape)
            rows, cols = pixels[may_take].T
            may_take[may_take] = pixel_map[rows, cols]
        if mask.label is not None:
            may_take = may_take & (labels == mask.label)
        rank = (mask.score, -area)
        for point in np.flatnonzero(may_take):
            if rank > best[point]:
                best[point], chosen[point] = rank, index
    return chosen


def draw_masks(
    masks: Sequence[ScoredMask],
    chosen: np.ndarray,
    labels: np.ndarray,
    *,
    height: int,
    width: int,
    uncertain: int | None = None,
) -> tuple[np.ndarray, int]:
    """Draw the semantic map of the masks that were assigned to points.

    Args:
        masks: masks of one image.
        chosen: ``(N,)`` index of each point's mask, -1 = none, see :func:`choose_masks`.
        labels: ``(N,)`` classes 0..K-1.
        height: height of the image in pixels.
        width: width of the image in pixels.
        uncertain: value of pixels where masks of different classes overlap; None = the class of
            the overlapping mask with the highest score, then the smallest area, then the first
            point.

    Returns:
        ``(H, W)`` uint8 map, 0 background, k + 1 = class k, and the number of pixels where masks of
        different classes overlap. Without points the map is all background.
    """
    areas = {int(index): int(decode_rle(masks[index].rle).sum()) for index in set(chosen) - {-1}}
    points = [int(point) for point in np.flatnonzero(np.asarray(chosen) >= 0)]
    # draw the best mask last, so that it is on top
    points.sort(key=lambda i: (masks[chosen[i]].score, -areas[chosen[i]], -i))
    semantic_map = np.zeros((height, width), np.uint8)
    conflict = np.zeros((height, width), bool)
    for point in points:
        pixels = decode_rle(masks[chosen[point]].rle)
        value = int(labels[point]) + 1
        conflict |= pixels & (semantic_map != 0) & (semantic_map != value)
        semantic_map[pixels] = value
    if uncertain is not None:
        semantic_map[conflict] = uncertain
    return semantic_map, int(conflict.sum())
