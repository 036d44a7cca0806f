"""InstanceDecoder: semantic scores, offsets and points -> one instance per point.

Dimensions: ``H, W`` pixels of the image; ``N`` points; ``K`` classes; ``V`` semantic values.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from mmp2seg.codecs.point_pseudo_labeler import PointPseudoLabeler
from mmp2seg.codecs.point_results import PointInstances
from mmp2seg.ops.components import find_regions
from mmp2seg.ops.coords import misplaced_points, pixel_centers
from mmp2seg.ops.grouping import nearest_point
from mmp2seg.ops.masks import cut_instances
from mmp2seg.ops.offsets import landing_positions, offsets_at_points
from mmp2seg.ops.semantic_scores import argmax_map, image_values
from mmp2seg.registry import TASK_UTILS

GROUPINGS = ('offset', 'nearest', 'region')


@TASK_UTILS.register_module()
class InstanceDecoder:
    """Cut the instances of an image out of its semantic map, one for each point.

    The detector, test-time augmentation and the baselines use it alike. Which region a point
    belongs to is the labeler's rule. A region is cut among its own points: a pixel goes to the
    point nearest to a position between the pixel's centre and the place where its offset lands.

    Args:
        labeler: a :class:`mmp2seg.codecs.PointPseudoLabeler` or its config; the model's own.
        grouping: how a region is cut: ``'offset'`` by landing positions, ``'nearest'`` by the
            pixels themselves, ``'region'`` not at all: every point gets all of its region (table 6,
            semantic results first). The last two ignore the offsets.
        landing_weight: position between a pixel's centre (0) and its landing position (1, the
            paper's grouping). At 0.5 the nearest point has the least sum of squared distances to
            both, which helps while offsets are not sharp.
        anchor: what the distance is measured to: ``'landing'`` moves each point along its own
            offset by the same weight, because offsets learn to aim at the middle of an object,
            wherever its point is; ``'point'`` is the annotated point (the paper's).
        max_landing_distance: a pixel of a region without a point goes to the point of its class
            that it lands nearest to, if that is at most this far, in pixels; 0 leaves those pixels
            out.

    Raises:
        ValueError: for an unknown ``grouping`` or ``anchor``, or a ``landing_weight`` outside
            [0, 1].
    """

    def __init__(
        self,
        *,
        labeler: Mapping[str, object] | PointPseudoLabeler,
        grouping: str = 'offset',
        landing_weight: float = 0.5,
        anchor: str = 'landing',
        max_landing_distance: float = 8.0,
    ) -> None:
        for name, value, known in (
            ('grouping', grouping, GROUPINGS),
            ('anchor', anchor, ('landing', 'point')),
        ):
            if value not in known:
                raise ValueError(f'expected {name} to be one of {known}, got {value!r}')
        if not 0 <= landing_weight <= 1:
            raise ValueError(f'expected landing_weight in [0, 1], got {landing_weight}')
        self.labeler: PointPseudoLabeler = (
            TASK_UTILS.build(labeler) if isinstance(labeler, Mapping) else labeler
        )
        self.grouping = grouping
        self.landing_weight = landing_weight
        self.anchor = anchor
        self.max_landing_distance = max_landing_distance

    def decode(
        self,
        scores: Tensor,
        offset: Tensor,
        points_xy: Tensor,
        labels: Tensor,
        *,
        values: Tensor | None = None,
    ) -> PointInstances:
        """Instances of one image from the maps of a network and the image's points.

        Only background and the classes that the image has points of take part.

        Args:
            scores: ``(V, H, W)`` floats, such as probabilities.
            offset: ``(2, H, W)`` floats ``(dx, dy)`` in pixels of this frame.
            points_xy: ``(N, 2)`` floats in this frame; points outside are reported as dropped.
            labels: ``(N,)`` int64 ``0..K-1``.
            values: ``(V,)`` int64, the semantic value of each channel of ``scores``, which are
                those of :func:`mmp2seg.ops.semantic_scores.image_values`; None = all of 0..K.

        Returns:
            PointInstances: on the scores' device.
        """
        if values is None:
            values = image_values(labels)
            scores = scores.index_select(0, values)
        semantic_map, best = argmax_map(scores, values)
        return self.cut(semantic_map, points_xy, labels, scores=best, offset=offset)

    def cut(
        self,
        semantic_map: Tensor,
        points_xy: Tensor,
        labels: Tensor,
        *,
        scores: Tensor | None = None,
        offset: Tensor | None = None,
    ) -> PointInstances:
        """Instances of one image from its semantic map and its points.

        Args:
            semantic_map: ``(H, W)`` int64, 0 background, ``k + 1`` class ``k``, 255 ignore.
            points_xy: ``(N, 2)`` floats in the map's frame; points outside are reported as dropped.
            labels: ``(N,)`` int64 ``0..K-1``.
            scores: ``(H, W)`` floats; an instance's score is their mean over its mask. None = 1.
            offset: ``(2, H, W)`` floats ``(dx, dy)`` in pixels; needed for the grouping 'offset'.

        Returns:
            PointInstances: on the map's device.

        Raises:
            ValueError: without an offset that the grouping needs.
        """
        if offset is None and self.grouping == 'offset':
            raise ValueError("expected an offset field for the grouping 'offset', got none")
        device, (height, width) = semantic_map.device, semantic_map.shape
        labels_np = labels.cpu().numpy()
        reasons = misplaced_points(points_xy.cpu().numpy(), labels_np, height, width)
        sound = np.flatnonzero(reasons == '')
        chosen = torch.from_numpy(sound).to(device)
        points_xy, labels = points_xy[chosen], labels[chosen]
        regions = find_regions(semantic_map.cpu().numpy(), labels_np[sound]).to(device)
        point_regions = self.labeler.point_regions(points_xy, labels, regions)
        if self.grouping == 'region':
            # an instance's number in the map of regions is that of its region
            instance_map, numbers = regions.region_map, point_regions
        else:
            instance_map = self._group(
                semantic_map,
                points_xy.float(),
                labels,
                region_map=regions.region_map,
                point_regions=point_regions,
                offset=offset,
            )
            numbers = torch.arange(1, len(sound) + 1, device=device)
        if scores is None:
            scores = torch.ones(height, width, device=device)
        masks, mean_scores, has_pixels = cut_instances(instance_map, numbers, scores)
        filled = has_pixels.cpu().numpy()
        in_region = point_regions.cpu().numpy() > 0
        reasons[sound[~filled]] = np.where(in_region[~filled], 'no_pixels', 'no_region')
        dropped = np.flatnonzero(reasons != '')
        return PointInstances(
            masks=masks,
            scores=mean_scores,
            kept=chosen[has_pixels],
            dropped=torch.from_numpy(dropped).to(device),
            reasons=reasons[dropped].tolist(),
            semantic_map=semantic_map,
        )

    def _group(
        self,
        semantic_map: Tensor,
        points_xy: Tensor,
        labels: Tensor,
        *,
        region_map: Tensor,
        point_regions: Tensor,
        offset: Tensor | None,
    ) -> Tensor:
        """Instance map ``(H, W)`` int32: each region cut among its own points."""
        if offset is None or self.grouping == 'nearest':
            height, width = region_map.shape
            return nearest_point(
                pixel_centers(height, width, device=points_xy.device),
                points_xy,
                position_groups=region_map,
                point_groups=point_regions,
            )
        partial = self.landing_weight * offset
        instance_map = nearest_point(
            landing_positions(partial),
            self._anchors(partial, points_xy),
            position_groups=region_map,
            point_groups=point_regions,
        )
        if self.max_landing_distance <= 0:
            return instance_map
        orphans = (instance_map == 0) & (semantic_map > 0)
        adopted = nearest_point(
            landing_positions(offset),
            self._anchors(offset, points_xy),
            position_groups=semantic_map * orphans,
            point_groups=labels + 1,
            max_distance=self.max_landing_distance,
        )
        return torch.where(orphans, adopted, instance_map)

    def _anchors(self, offset: Tensor, points_xy: Tensor) -> Tensor:
        """What landing positions are compared with, ``(N, 2)``."""
        if self.anchor == 'point':
            return points_xy
        return points_xy + offsets_at_points(offset, points_xy)
