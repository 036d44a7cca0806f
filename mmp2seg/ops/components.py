"""Regions: connected components of a semantic map, and which points lie in which.

A region is an 8-connected component of the pixels of one class. Only classes that an image has
points of are worth labelling, so only those are.
"""

import cv2
import numpy as np

from mmp2seg.ops.coords import points_to_pixels

IGNORE = 255


def label_regions(
    semantic_map: np.ndarray, labels: np.ndarray, *, min_area: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Connected components of the classes that occur in ``labels``.

    Args:
        semantic_map: ``(H, W)`` integers, 0 background, ``k + 1`` class ``k``, 255 ignore.
        labels: ``(N,)`` class of each point, ``0..K-1``; repeats allowed.
        min_area: components of fewer pixels are left out.

    Returns:
        tuple: ``region_map`` ``(H, W)`` int32, 0 = none, ``1..R`` the regions; and
        ``region_values`` ``(R + 1,)`` int64, the semantic value of each region (entry 0 is 0).
    """
    region_map = np.zeros(semantic_map.shape, dtype=np.int32)
    region_values = [0]
    for label in np.unique(np.asarray(labels, dtype=np.int64)):
        value = int(label) + 1
        mask = (semantic_map == value).view(np.uint8)
        left, top, width, height = cv2.boundingRect(mask)
        if width == 0:
            continue
        window = (slice(top, top + height), slice(left, left + width))
        count, components, stats, _ = cv2.connectedComponentsWithStats(mask[window], connectivity=8)
        kept = stats[:, cv2.CC_STAT_AREA] >= max(min_area, 1)
        kept[0] = False  # OpenCV's component 0 is everything else
        new_ids = np.zeros(count, dtype=np.int32)
        new_ids[kept] = len(region_values) + np.arange(kept.sum(), dtype=np.int32)
        # mode='clip' spares the check of every index
        region_map[window] += new_ids.take(components, mode='clip')
        region_values += [value] * int(kept.sum())
    return region_map, np.asarray(region_values, dtype=np.int64)


def regions_of_points(
    points_xy: np.ndarray,
    labels: np.ndarray,
    region_map: np.ndarray,
    region_values: np.ndarray,
    *,
    max_snap_distance: float = 0.0,
) -> np.ndarray:
    """The region each point belongs to.

    A point belongs to the region of its class that holds its pixel; failing that, to the region of
    its class with the nearest pixel centre, if that is at most ``max_snap_distance`` away.

    Args:
        points_xy: ``(N, 2)`` floats ``(x, y)``, all inside the map.
        labels: ``(N,)`` class of each point, ``0..K-1``.
        region_map, region_values: as :func:`label_regions` returns them.
        max_snap_distance: in pixels; 0 switches snapping off.

    Returns:
        np.ndarray: ``(N,)`` int64 region of each point, 0 = none.
    """
    rows, cols = points_to_pixels(points_xy).T
    values = np.asarray(labels, dtype=np.int64) + 1
    regions = region_map[rows, cols].astype(np.int64)
    regions[region_values[regions] != values] = 0
    if max_snap_distance > 0:
        for index in np.flatnonzero(regions == 0):
            regions[index] = _nearest_region(
                points_xy[index], values[index], region_map, region_values, max_snap_distance
            )
    return regions


def _nearest_region(
    point_xy: np.ndarray,
    value: int,
    region_map: np.ndarray,
    region_values: np.ndarray,
    max_distance: float,
) -> int:
    """Region of semantic value ``value`` nearest to a point, 0 if none is near enough."""
    height, width = region_map.shape
    reach = int(np.ceil(max_distance)) + 1
    col, row = int(point_xy[0]), int(point_xy[1])
    top, left = max(row - reach, 0), max(col - reach, 0)
    window = region_map[top : min(row + reach + 1, height), left : min(col + reach + 1, width)]
    rows, cols = np.nonzero(region_values[window] == value)
    if rows.size == 0:
        return 0
    squared = (cols + left + 0.5 - point_xy[0]) ** 2 + (rows + top + 0.5 - point_xy[1]) ** 2
    nearest = squared.argmin()
    return int(window[rows[nearest], cols[nearest]]) if squared[nearest] <= max_distance**2 else 0
