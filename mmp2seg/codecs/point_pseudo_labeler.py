"""PointPseudoLabeler: turn points and regions into the targets of the offset head.

Dimensions: ``H, W`` pixels of a frame; ``N`` points; ``K`` classes.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mmp2seg.codecs.given_masks import GivenMasks, divide_by_nearest
from mmp2seg.codecs.point_results import ImagePoints, PointTargets
from mmp2seg.ops.components import Regions, find_regions, regions_of_points
from mmp2seg.ops.coords import pixel_centers, points_inside
from mmp2seg.ops.offsets import instance_centroids, landing_positions, offsets_to_points
from mmp2seg.registry import TASK_UTILS


@TASK_UTILS.register_module()
class PointPseudoLabeler:
    """Turn points and regions into targets (method, section 1), by these rules.

    - A *region* is an 8-connected component of the pixels of one class.
    - A point belongs to the region of its class that contains it. If there is none, it belongs to
      the nearest region of its class within ``max_snap_distance``. If there is none either, it has
      no region. :class:`mmp2seg.codecs.InstanceDecoder` uses the same rule.
    - Each pixel of a region belongs to one of the region's points. For the initial targets, this is
      the point nearest to the pixel's centre (distance separation). For refined targets, it is the
      point nearest to where the pixel's predicted offset lands (S2I, semantic to instance).
    - Pixels of a region without a point have weight 0.
    - A point with a true mask has the pixels of its mask and no others, with weight 1, in both
      kinds of targets. A point with a box has pixels in its box alone
      (:class:`mmp2seg.codecs.GivenMasks`).

    Args:
        conflict: how initial targets treat a region with several points: ``'nearest'`` separates it
            by distance (P2Seg), ``'drop'`` gives it weight 0 (BESTIE).
        offset_target: ``'point'`` aims offsets at the annotated point, ``'centroid'`` at the
            instance's centroid (BESTIE).
        min_region_area: regions with fewer pixels are ignored (the released code: 50).
        max_snap_distance: largest distance of a point from its region, in pixels.

    Raises:
        ValueError: ``conflict`` or ``offset_target`` is unknown.
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
        """Find the region of each point by the labeler's rules, without a device sync.

        Args:
            points_xy: ``(N, 2)`` floats in the frame of the regions, all inside it. All of these
                can have a leading dimension, as in :class:`mmp2seg.codecs.PointBatch`.
            labels: ``(N,)`` int64 ``0..K-1``.
            regions: the regions of the image, on the points' device.

        Returns:
            Tensor: ``(N,)`` int64, 0 = none; ``(B, N)`` for a batch.
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
        given: GivenMasks | None = None,
    ) -> PointTargets:
        """Compute the targets of an image or a batch, without gradient and device sync.

        Args:
            points_xy: ``(N, 2)`` floats in this frame. All of these, except ``given``, can have a
                leading dimension, as in :class:`mmp2seg.codecs.PointBatch`.
            region_map: ``(H, W)`` integers, 0 = none.
            point_regions: ``(N,)`` int64, as returned by :meth:`point_regions`.
            offset: ``(2, H, W)`` floats ``(dx, dy)`` in pixels of this frame, for refined targets;
                None gives the initial targets. An offset of 0 gives the initial targets too, unless
                ``conflict='drop'``.
            given: masks and boxes of some of the points, in this frame; None: there are none.

        Returns:
            PointTargets: on the points' device; all zero for an image without points.
        """
        if offset is None:
            height, width = region_map.shape[-2:]
            positions = pixel_centers(height, width, device=points_xy.device)
            if self.conflict == 'drop':
                point_regions = point_regions * (_count_equal(point_regions) == 1)
        else:
            positions = landing_positions(offset.detach())
        instance_map = divide_by_nearest(
            positions,
            points_xy,
            position_groups=region_map,
            point_groups=point_regions,
            given=given,
        )
        return self.targets_of_instances(points_xy, instance_map)

    def targets_of_instances(self, points_xy: Tensor, instance_map: Tensor) -> PointTargets:
        """Compute the targets of an image or a batch whose instances are known, without gradient.

        Args:
            points_xy: ``(..., N, 2)`` floats in this frame.
            instance_map: ``(..., H, W)`` int32, 0 = none, ``n + 1`` = point ``n``.
        """
        aims = points_xy
        if self.offset_target == 'centroid':
            # The centroid of an instance without pixels is nan; no pixel refers to it.
            aims = instance_centroids(instance_map, points_xy.shape[-2]).nan_to_num()
        return PointTargets(instance_map, *offsets_to_points(instance_map, aims))

    def image_targets(self, image: ImagePoints, offset: Tensor | None = None) -> PointTargets:
        """Find the region of each point of a training image and return its :meth:`targets`."""
        return self.targets(
            image.points_xy,
            region_map=image.regions.region_map,
            point_regions=self.point_regions(image.points_xy, image.labels, image.regions),
            offset=offset,
            given=image.given,
        )

    def encode(
        self,
        points_xy: npt.NDArray[np.floating],
        labels: npt.NDArray[np.integer],
        semantic_map: npt.NDArray[np.integer],
    ) -> PointTargets:
        """Compute the initial targets of one image from its semantic map, on the CPU.

        Args:
            points_xy: ``(N, 2)`` floats ``(x, y)`` in the map's frame, all inside it.
            labels: ``(N,)`` integers ``0..K-1``.
            semantic_map: ``(H, W)`` integers, 0 background, ``k + 1`` class ``k``, 255 ignore.

        Returns:
            PointTargets: all zero for an image without points.

        Raises:
            ValueError: a point lies outside the map.
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
    """Count how often each of ``(..., N)`` values occurs; return ``(..., N)`` int64."""
    return (values[..., :, None] == values[..., None, :]).sum(dim=-1)
