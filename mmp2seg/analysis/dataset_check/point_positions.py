"""The positions of an image's points on its semantic map."""

from typing import NamedTuple

import numpy as np
import torch

from mmp2seg.ops.components import IGNORE, find_regions, regions_of_points
from mmp2seg.ops.coords import points_inside, points_to_pixels

PLACES = ('on_class', 'other_class', 'background', 'ignore', 'outside')


class RegionsAndPoints(NamedTuple):
    """Regions of all classes of a map, and the region of each point.

    Attributes:
        point_regions: (N,) int64, 1..R or 0 for none.
        areas: (R,) int64, pixels of each region.
        labels: (R,) int64, class 0..K-1 of each region.
        num_small: number of regions left out because they are small.
        num_pixels: pixels of all classes, including small regions.
    """

    point_regions: np.ndarray
    areas: np.ndarray
    labels: np.ndarray
    num_small: int
    num_pixels: int

    @property
    def num_points(self) -> np.ndarray:
        """(R,) int64, points of each region."""
        return np.bincount(self.point_regions, minlength=len(self.areas) + 1)[1:]


def places_of_points(
    points_xy: np.ndarray, labels: np.ndarray, semantic_map: np.ndarray
) -> np.ndarray:
    """Find what is under each point.

    Args:
        points_xy: (N, 2) floats (x, y) in the map's frame, inside or outside.
        labels: (N,) classes 0..K-1.
        semantic_map: (H, W) integers, 0 background, k + 1 class k, 255 ignore.

    Returns:
        (N,) int64 indices into ``PLACES``.
    """
    labels = np.asarray(labels, dtype=np.int64)
    inside = points_inside(points_xy, *semantic_map.shape)
    rows, cols = points_to_pixels(np.asarray(points_xy).reshape(-1, 2)[inside]).T
    values = semantic_map[rows, cols].astype(np.int64)
    places = np.full(len(labels), PLACES.index('outside'))
    places[inside] = np.select(
        [values == labels[inside] + 1, values == 0, values == IGNORE],
        [PLACES.index('on_class'), PLACES.index('background'), PLACES.index('ignore')],
        PLACES.index('other_class'),
    )
    return places


def regions_and_points(
    points_xy: np.ndarray,
    labels: np.ndarray,
    semantic_map: np.ndarray,
    *,
    min_area: int = 0,
    max_snap_distance: float = 0.0,
) -> RegionsAndPoints:
    """Find the regions of a map, including classes without points, and the region of each point.

    Args:
        points_xy: (N, 2) floats (x, y) in the map's frame; points outside have no region.
        labels: (N,) classes 0..K-1.
        semantic_map: (H, W) integers, 0 background, k + 1 class k, 255 ignore.
        min_area, max_snap_distance: see :func:`mmp2seg.ops.components.regions_of_points`.
    """
    labels = np.asarray(labels, dtype=np.int64)
    values = np.unique(semantic_map).astype(np.int64)
    values = values[(values != 0) & (values != IGNORE)]
    regions = find_regions(semantic_map, values - 1)
    inside = points_inside(points_xy, *semantic_map.shape)
    point_regions = np.zeros(len(labels), np.int64)
    point_regions[inside] = regions_of_points(
        torch.from_numpy(np.asarray(points_xy, np.float64).reshape(-1, 2)[inside]),
        torch.from_numpy(labels[inside]),
        regions,
        min_area=min_area,
        max_snap_distance=max_snap_distance,
    ).numpy()
    areas = regions.areas.numpy()
    large = areas >= min_area
    numbers = np.append(0, large.cumsum() * large)  # of the large regions, without gaps
    return RegionsAndPoints(
        point_regions=numbers[point_regions],
        areas=areas[large],
        labels=regions.labels.numpy()[large],
        num_small=int((~large).sum()),
        num_pixels=int(areas.sum()),
    )
