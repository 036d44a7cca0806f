"""PointPseudoLabeler: points + semantic map -> targets, and network outputs + points -> instances.

Dimensions: ``H, W`` pixels of a frame; ``N`` points; ``K`` classes; ``M <= N`` instances.
"""

import numpy as np
import torch
from torch import Tensor

from mmp2seg.codecs.point_results import PointInstances, PointTargets
from mmp2seg.ops.components import label_regions, regions_of_points
from mmp2seg.ops.coords import misplaced_points, pixel_centers, points_inside
from mmp2seg.ops.grouping import nearest_point
from mmp2seg.ops.masks import cut_instances
from mmp2seg.ops.offsets import (
    instance_centroids,
    landing_positions,
    offsets_at_points,
    offsets_to_points,
)
from mmp2seg.ops.semantic_scores import restricted_argmax
from mmp2seg.registry import TASK_UTILS

GROUPINGS = ('offset', 'nearest', 'region')


@TASK_UTILS.register_module()
class PointPseudoLabeler:
    """The one place where points and maps turn into instances (method, section 1).

    The data pipeline calls :meth:`encode`, the refinement inside training :meth:`refine`, and
    inference :meth:`decode`, so the three share their rules:

    - A *region* is an 8-connected component of the pixels of one class. Pixels of a region without
      a point have weight 0.
    - A point belongs to the region of its class that holds it, or else to the nearest one of its
      class at most ``max_snap_distance`` away, or to none.
    - Inside a region each pixel belongs to the region's point that is nearest: nearest to the
      pixel's centre for the initial targets (distance separation), nearest to where the predicted
      offset lands for refined targets and instances (points first).

    Args:
        conflict: what initial targets make of a region with several points: ``'nearest'``
            separates it by distance (P2Seg), ``'drop'`` gives it weight 0 (BESTIE).
        offset_target: ``'point'`` aims offsets at the annotated point, ``'centroid'`` at the
            instance's centroid (BESTIE).
        grouping: how :meth:`decode` separates a region: ``'offset'`` by landing positions,
            ``'nearest'`` by the pixels themselves, ``'region'`` not at all: every point gets all
            of its region (baselines that ignore the offsets; table 6, semantic results first).
        landing_weight: where between a pixel's centre (0) and its landing position (1, the paper's
            grouping) :meth:`decode` looks for the nearest point. At 0.5 that is the point with the
            least sum of squared distances to both, which holds against offsets that are not sharp.
        anchor: what :meth:`decode` measures the distance to: ``'landing'`` moves each point along
            its own offset by the same weight, because offsets learn to aim at the middle of an
            object wherever its point was put; ``'point'`` is the annotated point (the paper's).
        min_region_area: regions of fewer pixels are ignored (the released code: 50).
        max_snap_distance: how far, in pixels, a point may lie off its region.
        max_landing_distance: :meth:`decode` gives a pixel of a region without a point to the point
            of its class that it lands nearest to, if that is at most this far, in pixels; 0 leaves
            those pixels to none.

    Raises:
        ValueError: for an unknown ``conflict``, ``offset_target``, ``grouping`` or ``anchor``, or a
            ``landing_weight`` outside [0, 1].
    """

    def __init__(
        self,
        *,
        conflict: str = 'nearest',
        offset_target: str = 'point',
        grouping: str = 'offset',
        landing_weight: float = 0.5,
        anchor: str = 'landing',
        min_region_area: int = 0,
        max_snap_distance: float = 8.0,
        max_landing_distance: float = 8.0,
    ) -> None:
        for name, value, known in (
            ('conflict', conflict, ('nearest', 'drop')),
            ('offset_target', offset_target, ('point', 'centroid')),
            ('grouping', grouping, GROUPINGS),
            ('anchor', anchor, ('landing', 'point')),
        ):
            if value not in known:
                raise ValueError(f'expected {name} to be one of {known}, got {value!r}')
        self.conflict = conflict
        self.offset_target = offset_target
        if not 0 <= landing_weight <= 1:
            raise ValueError(f'expected landing_weight in [0, 1], got {landing_weight}')
        self.grouping = grouping
        self.landing_weight = landing_weight
        self.anchor = anchor
        self.min_region_area = min_region_area
        self.max_snap_distance = max_snap_distance
        self.max_landing_distance = max_landing_distance

    def encode(
        self, points_xy: np.ndarray, labels: np.ndarray, semantic_map: np.ndarray
    ) -> PointTargets:
        """Initial targets of one image.

        Args:
            points_xy: ``(N, 2)`` floats ``(x, y)`` in the map's frame, all inside it.
            labels: ``(N,)`` integers ``0..K-1``.
            semantic_map: ``(H, W)`` integers, 0 background, ``k + 1`` class ``k``, 255 ignore.

        Returns:
            PointTargets: on the CPU; all zero for an image without points.

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
        points = torch.from_numpy(points_xy)
        region_map, point_regions = self._regions(points_xy, labels, semantic_map)
        instance_map = nearest_point(
            pixel_centers(height, width),
            points,
            position_groups=region_map,
            point_groups=self._separable(point_regions),
        )
        offset, weight = self._offsets(instance_map, points)
        return PointTargets(instance_map, offset, weight, region_map, point_regions)

    def refine(
        self, offset: Tensor, points_xy: Tensor, *, region_map: Tensor, point_regions: Tensor
    ) -> PointTargets:
        """Targets of one image refined by the current offsets (S2I): no gradient, no device sync.

        Args:
            offset: ``(2, H, W)`` floats ``(dx, dy)``, the prediction in pixels of this frame.
            points_xy: ``(N, 2)`` floats in this frame.
            region_map, point_regions: as :meth:`encode` returned them for this image.

        Returns:
            PointTargets: on the offset's device; weight 0 in regions without a point.
        """
        instance_map = nearest_point(
            landing_positions(offset.detach()),
            points_xy,
            position_groups=region_map,
            point_groups=point_regions,
        )
        refined_offset, weight = self._offsets(instance_map, points_xy)
        return PointTargets(instance_map, refined_offset, weight, region_map, point_regions)

    def decode(
        self, semantic_probs: Tensor, offset: Tensor, points_xy: Tensor, labels: Tensor
    ) -> PointInstances:
        """Instances of one image from the network's output and the image's points.

        Only classes that the image has points of take part in the semantic map.

        Args:
            semantic_probs: ``(K + 1, H, W)`` floats in [0, 1], background first.
            offset: ``(2, H, W)`` floats ``(dx, dy)`` in pixels of this frame.
            points_xy: ``(N, 2)`` floats in this frame; points outside are reported as dropped.
            labels: ``(N,)`` integers ``0..K-1``.

        Returns:
            PointInstances: on the probabilities' device.
        """
        height, width = semantic_probs.shape[1:]
        semantic_map, class_probs = restricted_argmax(semantic_probs, labels)
        points_np, labels_np = points_xy.cpu().numpy(), labels.cpu().numpy()
        reasons = misplaced_points(points_np, labels_np, height, width)
        usable = np.flatnonzero(reasons == '')
        region_map, usable_regions = self._regions(
            points_np[usable], labels_np[usable], semantic_map.cpu().numpy()
        )
        device = semantic_probs.device
        region_map, point_regions = region_map.to(device), usable_regions.to(device)
        if self.grouping == 'region':
            # masks of a map of regions: an instance's number in it is that of its region
            instance_map, numbers = region_map, point_regions
        else:
            chosen = torch.from_numpy(usable).to(device)
            instance_map = self._group(
                semantic_map, offset, points_xy[chosen], labels[chosen], region_map, point_regions
            )
            numbers = torch.arange(1, len(usable) + 1, device=device)
        masks, scores, keep = cut_instances(instance_map, numbers, class_probs)
        filled = keep.cpu().numpy()
        for index, region in zip(usable[~filled], usable_regions.numpy()[~filled]):
            reasons[index] = 'no_pixels' if region else 'no_region'
        dropped = np.flatnonzero(reasons != '')
        return PointInstances(
            masks=masks,
            scores=scores,
            kept=torch.from_numpy(usable[filled]).to(device),
            dropped=torch.from_numpy(dropped).to(device),
            reasons=reasons[dropped].tolist(),
            semantic_map=semantic_map,
        )

    def regions(
        self, points_xy: Tensor, labels: Tensor, semantic_map: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Regions of a semantic map and the region of each point, found on the CPU.

        Args:
            points_xy: ``(N, 2)`` floats in the map's frame, all inside it.
            labels: ``(N,)`` integers ``0..K-1``.
            semantic_map: ``(H, W)`` integers, 0 background, ``k + 1`` class ``k``, 255 ignore.

        Returns:
            tuple: ``region_map`` and ``point_regions`` of :class:`PointTargets`, on the map's
            device.
        """
        found = self._regions(
            *(values.cpu().numpy() for values in (points_xy, labels, semantic_map))
        )
        return found[0].to(semantic_map.device), found[1].to(semantic_map.device)

    def _regions(
        self, points_xy: np.ndarray, labels: np.ndarray, semantic_map: np.ndarray
    ) -> tuple[Tensor, Tensor]:
        """Region map ``(H, W)`` int32 and the region of each point ``(N,)`` int64."""
        region_map, values = label_regions(semantic_map, labels, min_area=self.min_region_area)
        point_regions = regions_of_points(
            points_xy, labels, region_map, values, max_snap_distance=self.max_snap_distance
        )
        return torch.from_numpy(region_map), torch.from_numpy(point_regions)

    def _separable(self, point_regions: Tensor) -> Tensor:
        """Regions of the points that initial targets use, after the conflict rule."""
        if self.conflict == 'nearest' or point_regions.numel() == 0:
            return point_regions
        alone = torch.bincount(point_regions)[point_regions] == 1
        return point_regions * alone

    def _offsets(self, instance_map: Tensor, points_xy: Tensor) -> tuple[Tensor, Tensor]:
        """Offset field and weight of an instance map, aimed as ``offset_target`` says."""
        targets = points_xy
        if self.offset_target == 'centroid':
            # An instance without pixels has no centroid, nor a pixel that would ask for it.
            targets = instance_centroids(instance_map, points_xy.shape[0]).nan_to_num()
        return offsets_to_points(instance_map, targets)

    def _group(
        self,
        semantic_map: Tensor,
        offset: Tensor,
        points_xy: Tensor,
        labels: Tensor,
        region_map: Tensor,
        point_regions: Tensor,
    ) -> Tensor:
        """Instance map ``(H, W)``: each region separated among its own points."""
        weight = self.landing_weight if self.grouping == 'offset' else 0.0
        instance_map = nearest_point(
            landing_positions(weight * offset),
            self._anchors(weight * offset, points_xy),
            position_groups=region_map,
            point_groups=point_regions,
        )
        if self.grouping != 'offset' or self.max_landing_distance <= 0:
            return instance_map
        return self._adopt_orphans(instance_map, semantic_map, offset, points_xy, labels)

    def _anchors(self, offset: Tensor, points_xy: Tensor) -> Tensor:
        """What landing positions are compared with, ``(N, 2)``."""
        if self.anchor == 'point':
            return points_xy
        return points_xy + offsets_at_points(offset, points_xy)

    def _adopt_orphans(
        self,
        instance_map: Tensor,
        semantic_map: Tensor,
        offset: Tensor,
        points_xy: Tensor,
        labels: Tensor,
    ) -> Tensor:
        """Give pixels of regions without a point to the point of their class they land close to."""
        orphans = (instance_map == 0) & (semantic_map > 0)
        adopted = nearest_point(
            landing_positions(offset),
            self._anchors(offset, points_xy),
            position_groups=semantic_map * orphans,
            point_groups=labels + 1,
            max_distance=self.max_landing_distance,
        )
        return torch.where(orphans, adopted, instance_map)
