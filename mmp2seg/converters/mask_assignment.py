"""Which mask belongs to which point, and the semantic map that the masks make."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from mmp2seg.ops.coords import points_inside, points_to_pixels
from mmp2seg.ops.rle import decode_rle


@dataclasses.dataclass(frozen=True, slots=True)
class ScoredMask:
    """A mask of an image.

    Attributes:
        rle: compressed RLE of the image's size.
        score: the higher the better.
        point: index of the only point that may take it, whether the mask holds it or not; None =
            any point that it holds.
        label: class 0..K-1 of the points that may take it; None = any.
    """

    rle: dict
    score: float
    point: int | None = None
    label: int | None = None


def choose_masks(
    masks: Sequence[ScoredMask], points_xy: np.ndarray, labels: np.ndarray
) -> np.ndarray:
    """The best mask of each point: of the highest score, of these the smallest, then the first.

    Args:
        masks: of one image, in memory one at a time. Empty ones are taken by no point.
        points_xy: ``(N, 2)`` continuous ``(x, y)``; a point outside the image is held by no mask.
        labels: ``(N,)`` classes 0..K-1.

    Returns:
        ``(N,)`` int64 indices of masks, -1 for a point without one. Points may share a mask.
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
    """Semantic map of the masks that points have taken.

    Args:
        masks: of one image.
        chosen: ``(N,)`` index of each point's mask, -1 = none, as of :func:`choose_masks`.
        labels: ``(N,)`` classes 0..K-1.
        uncertain: value of pixels where masks of different classes overlap; None = the class of
            the mask of the highest score there, of these the smallest, of these that of the first
            point.

    Returns:
        ``(H, W)`` uint8, 0 background, k + 1 = class k, and the number of pixels where masks of
        different classes overlap. All background for no point.
    """
    areas = {int(index): int(decode_rle(masks[index].rle).sum()) for index in set(chosen) - {-1}}
    points = [int(point) for point in np.flatnonzero(np.asarray(chosen) >= 0)]
    # the best last, on top of the others
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
