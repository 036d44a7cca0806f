"""PointPseudoLabeler: points and regions -> the targets of the offset head.

Dimensions: ``H, W`` pixels of a frame; ``N`` points; ``K`` classes.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mmp2seg.codecs.point_results import ImagePoints, PointTargets
from mmp2seg.ops.components import Regions, find_regions, regions_of_points
from mmp2seg.ops.coords import pixel_centers, points_inside
from mmp2seg.ops.grouping import nearest_point
from mmp2seg.ops.offsets import instance_centroids, landing_positions, offsets_to_points
from mmp2seg.registry import TASK_UTILS


@TASK_UTILS.register_module()
class PointPseudoLabeler:
    """Rules that turn points and regions into targets (method, section 1).

    - A *region* is an 8-connected component of the pixels of one class.
    - A point belongs to the region of its class that holds it, or else to the nearest one of its
      class at most ``max_snap_distance`` away, or to none. :class:`mmp2seg.codecs.InstanceDecoder`
      uses the same rule.
    - Inside a region each pixel belongs to the nearest of the region's points: nearest to the
      pixel's centre for the initial targets (distance separation), nearest to the place where the
      predicted offset lands for refined targets (S2I).
    - Pixels of a region without a point have weight 0.

    Args:
        conflict: what initial targets make of a region with several points: ``'nearest'``
            separates it by distance (P2Seg), ``'drop'`` gives it weight 0 (BESTIE).
        offset_target: ``'point'`` aims offsets at the annotated point, ``'centroid'`` at the
            instance's centroid (BESTIE).
        min_region_area: regions of fewer pixels are ignored (the released code: 50).
        max_snap_distance: how far, in pixels, a point may lie off its region.

    Raises:
        ValueError: for an unknown ``conflict`` or ``offset_target``.
    """

    def __init__(
        self,
        *,
        conflict: str = 'nearest',
        offset_target: str = 'point',
        min_region_area: int = 0,
        max_snap_distance: float = 8.0,
    ) -> None:
        for name, value, known in (
            ('conflict', conflict, ('nearest', 'drop')),
            ('offset_target', offset_target, ('point', 'centroid')),
        ):
            if value not in known:
                raise ValueError(f'expected {name} to be one of {known}, got {value!r}')
        self.conflict = conflict
        self.offset_target = offset_target
        self.min_region_area = min_region_area
        self.max_snap_distance = max_snap_distance

    def point_regions(self, points_xy: Tensor, labels: Tensor, regions: Regions) -> Tensor:
        """Region of each point by the rules of this labeler; no device sync.

        Args:
            points_xy: ``(N, 2)`` floats in the frame of the regions, all inside it.
            labels: ``(N,)`` int64 ``0..K-1``.
            regions: on the points' device.

        Returns:
            Tensor: ``(N,)`` int64, 0 = none.
        """
        return regions_of_points(
            points_xy,
            labels,
            regions,
            min_area=self.min_region_area,
            max_snap_distance=self.max_snap_distance,
        )

    def targets(
        self,
        points_xy: Tensor,
        *,
        region_map: Tensor,
        point_regions: Tensor,
        offset: Tensor | None = None,
    ) -> PointTargets:
        """Targets of one image: no gradient, no device sync.

        Args:
            points_xy: ``(N, 2)`` floats in this frame.
            region_map: ``(H, W)`` integers, 0 = none.
            point_regions: ``(N,)`` int64, of :meth:`point_regions`.
            offset: ``(2, H, W)`` floats ``(dx, dy)`` in pixels of this frame, which refine the
                targets; None = the initial targets. An offset of 0 gives the initial targets
                too, unless ``conflict='drop'``.

        Returns:
            PointTargets: on the points' device; all zero for an image without points.
        """
        if offset is None:
            height, width = region_map.shape
            positions = pixel_centers(height, width, device=points_xy.device)
            if self.conflict == 'drop':
                point_regions = point_regions * (_count_equal(point_regions) == 1)
        else:
            positions = landing_positions(offset.detach())
        instance_map = nearest_point(
            positions, points_xy, position_groups=region_map, point_groups=point_regions
        )
        aims = points_xy
        if self.offset_target == 'centroid':
            # An instance without pixels has no centroid, nor a pixel that would ask for it.
            aims = instance_centroids(instance_map, points_xy.shape[0]).nan_to_num()
        return PointTargets(instance_map, *offsets_to_points(instance_map, aims))

    def image_targets(self, image: ImagePoints, offset: Tensor | None = None) -> PointTargets:
        """:meth:`targets` of a training image, with the region of each point found first."""
        return self.targets(
            image.points_xy,
            region_map=image.regions.region_map,
            point_regions=self.point_regions(image.points_xy, image.labels, image.regions),
            offset=offset,
        )

    def encode(
        self,
        points_xy: npt.NDArray[np.floating],
        labels: npt.NDArray[np.integer],
        semantic_map: npt.NDArray[np.integer],
    ) -> PointTargets:
        """Initial targets of one image from its semantic map, on the CPU.

        Args:
            points_xy: ``(N, 2)`` floats ``(x, y)`` in the map's frame, all inside it.
            labels: ``(N,)`` integers ``0..K-1``.
            semantic_map: ``(H, W)`` integers, 0 background, ``k + 1`` class ``k``, 255 ignore.

        Returns:
            PointTargets: all zero for an image without points.

        Raises:
            ValueError: if a point lies outside the map.
        """
        points_xy = np.asarray(points_xy, dtype=np.float32).reshape(-1, 2)
        height, width = semantic_map.shape
        outside = ~points_inside(points_xy, height, width)
        if outside.any():
            raise ValueError(
                f'expected points inside the {width} x {height} map, '
                f'got {points_xy[outside][0].tolist()}'
            )
        image = ImagePoints(
            torch.from_numpy(points_xy),
            torch.from_numpy(np.asarray(labels, dtype=np.int64)),
            find_regions(semantic_map, labels),
        )
        return self.image_targets(image)


def _count_equal(values: Tensor) -> Tensor:
    """How often each of ``(N,)`` values occurs, ``(N,)`` int64."""
    return (values[:, None] == values).sum(dim=1)
