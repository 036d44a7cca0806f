"""InstanceDecoder: turn semantic scores, offsets and points into one instance per point.

Dimensions: ``H, W`` pixels of the image; ``N`` points; ``K`` classes; ``V`` semantic values.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mmp2seg.codecs.given_masks import GivenMasks, divide_by_nearest
from mmp2seg.codecs.instance_scorer import AssignmentMemo, InstanceScorer
from mmp2seg.codecs.point_pseudo_labeler import PointPseudoLabeler
from mmp2seg.codecs.point_results import PointInstances
from mmp2seg.ops.components import find_regions
from mmp2seg.ops.coords import misplaced_points, pixel_centers
from mmp2seg.ops.masks import cut_instances
from mmp2seg.ops.offsets import landing_positions, offsets_at_points
from mmp2seg.ops.semantic_scores import argmax_map, image_values
from mmp2seg.registry import TASK_UTILS

GROUPINGS = ('offset', 'nearest', 'region')


@TASK_UTILS.register_module()
class InstanceDecoder:
    """Cut the instances of an image out of its semantic map, one for each point.

    The detector, test-time augmentation and the baselines use this class. The labeler decides which
    region a point belongs to. Each region is divided among its own points: a pixel goes to the
    point nearest to a position between the pixel's centre and its landing position (the centre plus
    the pixel's offset).

    Args:
        labeler: a :class:`mmp2seg.codecs.PointPseudoLabeler` or its config. In a model it is the
            model's labeler.
        grouping: how a region is divided: ``'offset'`` by landing positions, ``'nearest'`` by pixel
            centres, ``'region'`` not at all, so that every point gets its whole region (table 6,
            semantic results first). The last two ignore the offsets.
        landing_weight: where the position lies between the pixel's centre (0) and its landing
            position (1, the paper's grouping). At 0.5 the nearest point has the smallest sum of
            squared distances to both, which helps while offsets are not sharp.
        anchor: which position of a point distances are measured to. ``'landing'`` moves each point
            along its own offset by the same weight, because offsets learn to aim at the middle of
            an object, wherever its point is. ``'point'`` is the annotated point (the paper's).
        scorer: an :class:`mmp2seg.codecs.InstanceScorer` or its config. With it, a round of S2I and
            I2S takes the place of regions and groupings: instance scores are propagated, and every
            click has its own pixels. None: regions of the semantic scores are divided. The
            groupings other than ``'offset'`` ignore it.
        max_landing_distance: a pixel of a region without a point goes to the point of its class
            that is nearest to its landing position, if that is at most this far, in pixels. 0
            leaves these pixels out.

    Raises:
        ValueError: ``grouping`` or ``anchor`` is unknown, or ``landing_weight`` is outside [0, 1].
    """

    def __init__(
        self,
        *,
        labeler: Mapping[str, object] | PointPseudoLabeler,
        grouping: str = 'offset',
        landing_weight: float = 0.5,
        anchor: str = 'landing',
        max_landing_distance: float = 8.0,
        scorer: Mapping[str, object] | InstanceScorer | None = None,
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
        built: InstanceScorer | None = (
            TASK_UTILS.build({'type': 'mmp2seg.InstanceScorer', **scorer})
            if isinstance(scorer, Mapping)
            else scorer
        )
        self.scorer = built if grouping == 'offset' else None
        self.grouping = grouping
        self.landing_weight = landing_weight
        self.anchor = anchor
        self.max_landing_distance = max_landing_distance

    @property
    def needs_image(self) -> bool:
        """Whether :meth:`decode` looks at the image."""
        return self.scorer is not None and self.scorer.affinity is not None

    @property
    def needs_embedding(self) -> bool:
        """Whether :meth:`decode` looks at the embedding."""
        return self.scorer is not None and self.scorer.needs_embedding

    def decode(
        self,
        scores: Tensor,
        offset: Tensor,
        points_xy: Tensor,
        labels: Tensor,
        *,
        values: Tensor | None = None,
        image: Tensor | None = None,
        embedding: Tensor | None = None,
        memo: AssignmentMemo | None = None,
        given: GivenMasks | None = None,
    ) -> PointInstances:
        """Decode the instances of one image from a network's maps and the image's points.

        Only background and the classes of the image's points are used.

        Args:
            scores: ``(V, H, W)`` floats, such as probabilities.
            offset: ``(2, H, W)`` floats ``(dx, dy)`` in pixels of this frame.
            points_xy: ``(N, 2)`` floats in this frame; points outside are reported as dropped.
            labels: ``(N,)`` int64 ``0..K-1``.
            values: ``(V,)`` int64, the semantic value of each channel of ``scores``, as returned by
                :func:`mmp2seg.ops.semantic_scores.image_values`. None: the channels are 0..K.
            image, embedding, memo: see :meth:`mmp2seg.codecs.InstanceScorer.assign`; only a scorer
                reads them.
            given: masks and boxes of some of the points, in this frame. A point with a mask gets
                its mask with the score 1, and is never dropped. None: there are none.

        Returns:
            PointInstances: on the scores' device.
        """
        if values is None:
            values = image_values(labels)
            scores = scores.index_select(0, values)
        if self.scorer is not None:
            return self._assign(
                scores,
                offset,
                points_xy,
                labels,
                values,
                image=image,
                embedding=embedding,
                memo=memo,
                given=given,
            )
        semantic_map, best = argmax_map(scores, values)
        return self.cut(semantic_map, points_xy, labels, scores=best, offset=offset, given=given)

    def cut(
        self,
        semantic_map: Tensor,
        points_xy: Tensor,
        labels: Tensor,
        *,
        scores: Tensor | None = None,
        offset: Tensor | None = None,
        given: GivenMasks | None = None,
    ) -> PointInstances:
        """Cut the instances of one image from its semantic map and its points.

        Args:
            semantic_map: ``(H, W)`` int64, 0 background, ``k + 1`` class ``k``, 255 ignore.
            points_xy: ``(N, 2)`` floats in the map's frame; points outside are reported as dropped.
            labels: ``(N,)`` int64 ``0..K-1``.
            scores: ``(H, W)`` floats; an instance's score is their mean over its mask. None: all
                scores are 1.
            offset: ``(2, H, W)`` floats ``(dx, dy)`` in pixels; needed for the grouping 'offset'.
            given: see :meth:`decode`. The grouping 'region' does not look at boxes.

        Returns:
            PointInstances: on the map's device.

        Raises:
            ValueError: the grouping needs an offset and there is none.
        """
        if offset is None and self.grouping == 'offset':
            raise ValueError("expected an offset field for the grouping 'offset', got none")
        device, (height, width) = semantic_map.device, semantic_map.shape
        reasons, chosen = _sound_points(points_xy, labels, (height, width))
        points_xy, labels = points_xy[chosen], labels[chosen]
        regions = find_regions(semantic_map.cpu().numpy(), labels.cpu().numpy()).to(device)
        point_regions = self.labeler.point_regions(points_xy, labels, regions)
        if self.grouping == 'region':
            # the region map serves as instance map: an instance has the number of its region
            instance_map, numbers = regions.region_map, point_regions
        else:
            instance_map = self._group(
                semantic_map,
                points_xy.float(),
                labels,
                region_map=regions.region_map,
                point_regions=point_regions,
                offset=offset,
                given=None if given is None else given.of_points(chosen),
            )
            numbers = torch.arange(1, len(chosen) + 1, device=device)
        if scores is None:
            scores = torch.ones(height, width, device=device)
        instances = _point_instances(
            instance_map,
            numbers,
            scores,
            semantic_map,
            reasons=reasons,
            chosen=chosen,
            has_region=point_regions > 0,
        )
        return instances if given is None else _with_given_masks(instances, given)

    def _assign(
        self,
        scores: Tensor,
        offset: Tensor,
        points_xy: Tensor,
        labels: Tensor,
        values: Tensor,
        *,
        image: Tensor | None,
        embedding: Tensor | None,
        memo: AssignmentMemo | None,
        given: GivenMasks | None,
    ) -> PointInstances:
        """Decode by the scorer instead of regions."""
        assert self.scorer is not None
        reasons, chosen = _sound_points(points_xy, labels, (scores.shape[1], scores.shape[2]))
        points_xy, labels = points_xy[chosen], labels[chosen]
        assigned = self.scorer.assign(
            scores,
            offset,
            points_xy,
            torch.searchsorted(values, labels + 1),
            image=image,
            embedding=embedding,
            memo=memo,
            given=None if given is None else given.of_points(chosen),
        )
        instances = _point_instances(
            assigned.instance_map,
            torch.arange(1, len(chosen) + 1, device=scores.device),
            assigned.confidence,
            values.take(assigned.channel_map),
            reasons=reasons,
            chosen=chosen,
            has_region=torch.ones_like(chosen, dtype=torch.bool),
        )
        return instances if given is None else _with_given_masks(instances, given)

    def _group(
        self,
        semantic_map: Tensor,
        points_xy: Tensor,
        labels: Tensor,
        *,
        region_map: Tensor,
        point_regions: Tensor,
        offset: Tensor | None,
        given: GivenMasks | None,
    ) -> Tensor:
        """Divide each region among its own points; return an ``(H, W)`` int32 instance map."""
        if offset is None or self.grouping == 'nearest':
            height, width = region_map.shape
            return divide_by_nearest(
                pixel_centers(height, width, device=points_xy.device),
                points_xy,
                position_groups=region_map,
                point_groups=point_regions,
                given=given,
            )
        partial = self.landing_weight * offset
        instance_map = divide_by_nearest(
            landing_positions(partial),
            self._anchors(partial, points_xy),
            position_groups=region_map,
            point_groups=point_regions,
            given=given,
        )
        if self.max_landing_distance <= 0:
            return instance_map
        orphans = (instance_map == 0) & (semantic_map > 0)
        adopted = divide_by_nearest(
            landing_positions(offset),
            self._anchors(offset, points_xy),
            position_groups=semantic_map * orphans,
            point_groups=labels + 1,
            given=given,
            max_distance=self.max_landing_distance,
        )
        return torch.where(orphans, adopted, instance_map)

    def _anchors(self, offset: Tensor, points_xy: Tensor) -> Tensor:
        """Return the ``(N, 2)`` positions that distances from landing positions are measured to."""
        if self.anchor == 'point':
            return points_xy
        return points_xy + offsets_at_points(offset, points_xy)


def _sound_points(
    points_xy: Tensor, labels: Tensor, size: tuple[int, int]
) -> tuple[npt.NDArray[np.object_], Tensor]:
    """Return the reason why each point cannot have an instance, or '', and the other's indices."""
    reasons = misplaced_points(points_xy.cpu().numpy(), labels.cpu().numpy(), *size)
    return reasons, torch.from_numpy(np.flatnonzero(reasons == '')).to(points_xy.device)


def _point_instances(
    instance_map: Tensor,
    numbers: Tensor,
    scores: Tensor,
    semantic_map: Tensor,
    *,
    reasons: npt.NDArray[np.object_],
    chosen: Tensor,
    has_region: Tensor,
) -> PointInstances:
    """Cut the masks of the sound points, and report those without one.

    Args:
        instance_map: ``(H, W)`` integers.
        numbers: ``(n,)`` the number of each sound point in it, 0 = none.
        scores: ``(H, W)`` floats.
        semantic_map: ``(H, W)`` int64.
        reasons: ``(N,)`` of all points, '' for the sound ones.
        chosen: ``(n,)`` indices of the sound points.
        has_region: ``(n,)`` bool.
    """
    masks, mean_scores, has_pixels = cut_instances(instance_map, numbers, scores)
    filled, sound = has_pixels.cpu().numpy(), chosen.cpu().numpy()
    in_region = has_region.cpu().numpy()
    reasons[sound[~filled]] = np.where(in_region[~filled], 'no_pixels', 'no_region')
    dropped = np.flatnonzero(reasons != '')
    return PointInstances(
        masks=masks,
        scores=mean_scores,
        kept=chosen[has_pixels],
        dropped=torch.from_numpy(dropped).to(chosen.device),
        reasons=reasons[dropped].tolist(),
        semantic_map=semantic_map,
        confidence=scores,
    )


def _with_given_masks(instances: PointInstances, given: GivenMasks) -> PointInstances:
    """Replace the instances of points with a mask by their masks, with the score 1.

    Such a point is not dropped: not for another point in its place, and not for a mask that covers
    its own.

    Args:
        instances: of the N points of an image.
        given: of the same points, in the same frame.
    """
    masks: dict[int, tuple[Tensor, Tensor]] = {
        int(point): (mask, score)
        for point, mask, score in zip(
            instances.kept, instances.masks, instances.scores, strict=True
        )
    }
    for point, limit, is_mask in zip(given.points, given.limits, given.is_mask, strict=True):
        if is_mask:
            masks[int(point)] = (limit, instances.scores.new_ones(()))
    reasons = dict(zip(instances.dropped.tolist(), instances.reasons, strict=True))
    kept, dropped = sorted(masks), sorted(reasons.keys() - masks.keys())
    like = instances.kept
    return dataclasses.replace(
        instances,
        masks=torch.stack([masks[n][0] for n in kept]) if kept else instances.masks,
        scores=torch.stack([masks[n][1] for n in kept]) if kept else instances.scores,
        kept=like.new_tensor(kept),
        dropped=like.new_tensor(dropped),
        reasons=[reasons[n] for n in dropped],
    )
