"""Decode the mask of a COCO segmentation in a crop around the object instead of the whole image."""

import numpy as np
from pycocotools import mask as mask_utils

from mmp2seg.ops.rle import polygon_values, segmentation_to_rle

# pycocotools rounds the corners of a polygon to a grid of 1/5 pixel.
_GRID = 5


def crop_of_segmentation(
    segmentation: dict | list, height: int, width: int
) -> tuple[np.ndarray, tuple[int, int]]:
    """Return the mask of a segmentation in a crop, and the position of the crop in the image.

    The pixels equal pycocotools' mask of the whole image, except where an edge lies exactly halfway
    between two grid steps of pycocotools and is rounded differently: about one polygon in a
    thousand differs, by one pixel.

    Args:
        segmentation: polygons ``[[x1, y1, x2, y2, ...], ...]`` (their union; polygons with fewer
            than three corners are ignored), uncompressed RLE (``counts`` a list) or compressed RLE.
        height: height of the image in pixels.
        width: width of the image in pixels.

    Returns:
        tuple: the object's C-contiguous ``(h, w)`` bool mask, and ``(left, top)``: the mask's pixel
        (row, col) is the image's (row + top, col + left). For an empty RLE the mask has shape ``(0,
        0)``. The crop of a polygon may be larger than necessary.

    Raises:
        ValueError: it is not a segmentation, no polygon has three corners, a corner is not finite,
            or the RLE does not fill the image.
    """
    if isinstance(segmentation, list):
        return _crop_of_polygons(segmentation, height, width)
    return _crop_of_rle(segmentation_to_rle(segmentation, height, width))


def _crop_of_polygons(
    polygons: list, height: int, width: int
) -> tuple[np.ndarray, tuple[int, int]]:
    steps = [_grid_steps(polygon) for polygon in polygons]
    steps = [corners for corners in steps if len(corners) >= 3]
    if not steps:
        raise ValueError('expected a polygon of at least three corners, got none')
    corners = np.concatenate(steps)
    lowest, highest = (corners.min(0) // _GRID).tolist(), (corners.max(0) // _GRID).tolist()
    # Clip the crop to the image: a polygon is cut off at the border, not moved inside.
    left, top = (max(int(low), 0) for low in lowest)
    right, bottom = (min(int(h) + 2, side) for h, side in zip(highest, (width, height)))
    if left >= right or top >= bottom:
        return np.zeros((0, 0), bool), (0, 0)
    origin = (_GRID * left, _GRID * top)
    moved = [_corners_for_pycocotools(corners - origin) for corners in steps]
    rles = mask_utils.frPyObjects(moved, bottom - top, right - left)
    mask = mask_utils.decode(rles[0] if len(rles) == 1 else mask_utils.merge(rles))
    return np.ascontiguousarray(mask).view(bool), (left, top)


def _corners_for_pycocotools(steps: np.ndarray) -> np.ndarray:
    """Return coordinates that pycocotools rounds to the given steps (it adds .5 and truncates)."""
    return (np.where(steps < 0, steps - 0.75, steps) / _GRID).ravel()


def _grid_steps(polygon: list) -> np.ndarray:
    """Return the corners ``(C, 2)`` (x, y) in integer grid steps, rounded like pycocotools.

    Call it before the polygon is moved: afterwards, a corner halfway between two steps could be
    rounded differently.
    """
    values = polygon_values(polygon)
    if len(values) % 2:
        raise ValueError(f'expected a polygon of numbers x1, y1, x2, y2, ..., got {polygon!r:.60}')
    return np.trunc(_GRID * values + 0.5).reshape(-1, 2)


def _crop_of_rle(rle: dict) -> tuple[np.ndarray, tuple[int, int]]:
    left, top, box_width, box_height = map(int, mask_utils.toBbox(rle))
    if box_width * box_height == 0:
        return np.zeros((0, 0), bool), (0, 0)
    mask = mask_utils.decode(rle)[top : top + box_height, left : left + box_width]
    return np.ascontiguousarray(mask).view(bool), (left, top)
