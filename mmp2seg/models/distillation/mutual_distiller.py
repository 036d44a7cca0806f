"""Mutual distillation: turn predictions and points into the targets of a training step.

Dimensions: ``B`` images; ``K`` classes; ``H, W`` pixels of the network's input; ``h, w`` cells of
the heads' maps; ``D`` embedding channels.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from mmp2seg.codecs import ImagePoints, InstanceScorer, PointPseudoLabeler, PointTargets
from mmp2seg.models.distillation.semantic_scorer import SemanticScorer
from mmp2seg.ops.affinity import mask_unknown
from mmp2seg.ops.components import IGNORE, find_regions
from mmp2seg.ops.semantic_scores import argmax_map
from mmp2seg.registry import MODELS, TASK_UTILS

SEMANTIC_INPUTS = ('network', 'weak')
SEMANTIC_USES = ('none', 'offset', 'semantic')


class NetworkMaps(NamedTuple):
    """Outputs of the heads for a batch.

    Attributes:
        semantic_logits: ``(B, K + 1, h, w)`` floats.
        offset: ``(B, 2, H, W)`` float32 ``(dx, dy)`` in pixels, upsampled to the input's size.
        embedding: ``(B, D, h', w')`` floats; None for a network without an affinity head.
        align_corners: option of the semantic head's upsampling.
        inputs: ``(B, 3, H, W)``, the network's input; only an ``instance_scorer`` with an affinity
            looks at it.
    """

    semantic_logits: Tensor
    offset: Tensor
    embedding: Tensor | None
    align_corners: bool = False
    inputs: Tensor | None = None


@dataclass
class DistilledTargets:
    """Targets of a training step: the initial targets first, then the refined targets.

    Attributes:
        semantic_maps: ``(B, H, W)`` integers each, 0 background, k + 1 class k, 255 ignore.
        offsets: pairs of ``(B, 2, H, W)`` float32 offsets and ``(B, H, W)`` float32 weights.
        instance_maps: ``(B, M, H, W)`` int32, 1..N an instance, 0 background, -1 ignored; one map
            per entry of ``offsets``.
    """

    semantic_maps: list[Tensor]
    offsets: list[tuple[Tensor, Tensor]]
    instance_maps: Tensor


@MODELS.register_module()
class MutualDistiller:
    """Refine instances by predicted offsets (S2I) and affinities (I2S), without gradient.

    S2I (semantic to instance): the predicted offsets divide the regions of the weak map into
    refined instances. I2S (instance to semantic): the predicted affinity A propagates semantic
    scores C ``rounds`` times, ``S = A^(o beta) * C``, where ``o beta`` is the elementwise power.
    The argmax of S is a semantic map, whose regions then replace those of the weak map. The offset
    and affinity heads are trained on the initial and on the refined instances.

    With an ``instance_scorer``, both steps are one round: offsets divide C among the points, the
    scorer's affinity propagates these instance scores, and the refined instances and the semantic
    map S are read from the result.

    Args:
        labeler: a :class:`mmp2seg.codecs.PointPseudoLabeler` or its config. In a model it is the
            model's labeler.
        rounds: propagations per training step; with 0, only S2I is used.
        beta: Hadamard power of the affinity (table 10).
        threshold: affinities below it do not propagate.
        instance_scorer: an :class:`mmp2seg.codecs.InstanceScorer` or its config. C is then the mean
            of the network's probabilities and the weak map, with the share ``network_weight`` of
            the network. ``rounds``, ``beta``, ``threshold``, ``radius`` and ``semantic_input`` are
            not used.
        min_confidence: with an ``instance_scorer``, pixels whose best value has less probability
            are ignored where S is a semantic target.
        radius: largest distance between pixels that propagate to each other, in cells of the
            embedding's grid; None = no limit.
        semantic_input: the C of the first round. ``'network'``: the probabilities of the semantic
            head. ``'weak'``: the weak map, whose errors the affinity then corrects.
        network_weight: share of the network's own probabilities in S.
        semantic_use: how S is used: ``'none'``, ``'offset'`` (its regions give the refined
            instances), ``'semantic'`` (it is also a target of the semantic head).
        refine_begin: iteration from which refined offsets are targets (1 in the released code).
        propagate_begin: iteration from which S is used.
        semantic_begin: iteration from which S is also a semantic target. For all three, None means
            never. They refer to the runner's iteration, so they remain valid after a resume.

    Raises:
        ValueError: ``semantic_input`` or ``semantic_use`` is unknown, ``rounds`` is negative, or
            ``network_weight`` is outside [0, 1].
    """

    def __init__(
        self,
        *,
        labeler: Mapping | PointPseudoLabeler,
        rounds: int = 1,
        beta: float = 1.0,
        threshold: float = 0.0,
        radius: float | None = None,
        instance_scorer: Mapping | InstanceScorer | None = None,
        min_confidence: float = 0.6,
        semantic_input: str = 'network',
        network_weight: float = 0.0,
        semantic_use: str = 'offset',
        refine_begin: int | None = 1,
        propagate_begin: int | None = 1,
        semantic_begin: int | None = 1,
    ) -> None:
        for name, value, known in (
            ('semantic_input', semantic_input, SEMANTIC_INPUTS),
            ('semantic_use', semantic_use, SEMANTIC_USES),
        ):
            if value not in known:
                raise ValueError(f'expected {name} in {known}, got {value!r}')
        self.labeler = TASK_UTILS.build(labeler) if isinstance(labeler, Mapping) else labeler
        self.scorer = SemanticScorer(
            rounds=rounds,
            beta=beta,
            threshold=threshold,
            radius=radius,
            use_weak_map=semantic_input == 'weak',
            network_weight=network_weight,
        )
        if isinstance(instance_scorer, Mapping):
            instance_scorer = TASK_UTILS.build(
                {'type': 'mmp2seg.InstanceScorer', **instance_scorer}
            )
        self.instance_scorer: InstanceScorer | None = instance_scorer
        self.min_confidence = min_confidence
        self.semantic_use = semantic_use
        self.refine_begin = refine_begin
        self.propagate_begin = propagate_begin
        self.semantic_begin = semantic_begin

    @torch.no_grad()
    def distill(
        self,
        maps: NetworkMaps,
        weak_maps: Tensor,
        images: Sequence[ImagePoints],
        *,
        iteration: int,
        padding: Tensor | None = None,
    ) -> DistilledTargets:
        """Compute the targets of a batch.

        Args:
            maps: output of the heads.
            weak_maps: ``(B, H, W)`` integers, 0 background, k + 1 class k; padding is 255.
            images: points and regions of the weak map of each image.
            iteration: the runner's iteration, counted from 0.
            padding: ``(B, H, W)`` bool, the pixels outside the images; None: there are none.

        Returns:
            DistilledTargets: on the device of the predictions.
        """
        point_regions = [self._point_regions(image) for image in images]
        initial = self._targets(images, point_regions)
        targets, semantic_maps = [(initial, weak_maps)], [weak_maps]
        if _has_begun(self.refine_begin, iteration) and self._assigns(iteration):
            refined, source = self._assigned_targets(maps, weak_maps, images, padding)
            if self._has_semantic_target(iteration):
                semantic_maps.append(source)
            targets.append((refined, source))
        elif _has_begun(self.refine_begin, iteration):
            source = weak_maps
            if maps.embedding is not None and self._propagates(iteration):
                source = self._propagated_maps(maps, weak_maps, images)
                images = [_with_regions(*pair) for pair in zip(images, source, strict=True)]
                point_regions = [self._point_regions(image) for image in images]
                if self._has_semantic_target(iteration):
                    semantic_maps.append(_without_orphans(source, images, point_regions))
            targets.append((self._targets(images, point_regions, maps.offset), source))
        return DistilledTargets(
            semantic_maps=semantic_maps,
            offsets=[
                (torch.stack([t.offset for t in batch]), torch.stack([t.weight for t in batch]))
                for batch, _ in targets
            ],
            instance_maps=torch.stack(
                [
                    mask_unknown(torch.stack([t.instance_map for t in batch]), semantic_map)
                    for batch, semantic_map in targets
                ],
                dim=1,
            ),
        )

    def _propagates(self, iteration: int) -> bool:
        wanted = self.scorer.rounds > 0 and self.semantic_use != 'none'
        return wanted and _has_begun(self.propagate_begin, iteration)

    def _assigns(self, iteration: int) -> bool:
        wanted = self.instance_scorer is not None and self.semantic_use != 'none'
        return wanted and _has_begun(self.propagate_begin, iteration)

    def _has_semantic_target(self, iteration: int) -> bool:
        return self.semantic_use == 'semantic' and _has_begun(self.semantic_begin, iteration)

    def _assigned_targets(
        self,
        maps: NetworkMaps,
        weak_maps: Tensor,
        images: Sequence[ImagePoints],
        padding: Tensor | None,
    ) -> tuple[list[PointTargets], Tensor]:
        """Return the refined targets of each image by the instance scorer, and ``(B, H, W)`` S.

        Pixels that are 255 in the weak map are 255 in S. So are pixels that S is not sure of, and
        those of a class that do not hang together with one of its points.
        """
        scorer = self.instance_scorer
        assert scorer is not None
        mixed = dataclasses.replace(self.scorer, rounds=0, use_weak_map=True)
        assignments = []
        for index, image in enumerate(images):
            one = slice(index, index + 1)
            probs = mixed(
                maps.semantic_logits[one],
                None,
                image.values,
                ignored=weak_maps[one] == IGNORE,
                weak_map=weak_maps[one],
                align_corners=maps.align_corners,
            )
            assigned = scorer.assign(
                probs[0],
                maps.offset[index],
                image.points_xy,
                torch.searchsorted(image.values, image.labels + 1),
                image=None if maps.inputs is None else maps.inputs[index],
                embedding=None if maps.embedding is None else maps.embedding[index],
                valid=None if padding is None else ~padding[index],
                connect=False,
                given=image.given,
            )
            assignments.append(assigned)
        instance_maps = scorer.connect(
            torch.stack([assigned.instance_map for assigned in assignments]),
            [image.points_xy for image in images],
            [image.given for image in images],
        )
        semantic_maps = torch.stack(
            [
                image.values.take(assigned.channel_map)
                for image, assigned in zip(images, assignments, strict=True)
            ]
        )
        ignored = weak_maps == IGNORE
        confidence = torch.stack([assigned.confidence for assigned in assignments])
        unknown = ignored | (confidence < self.min_confidence)
        unknown |= (semantic_maps > 0) & (instance_maps == 0)
        targets = [
            self.labeler.targets_of_instances(image.points_xy, instance_map)
            for image, instance_map in zip(
                images, instance_maps.masked_fill(ignored, 0), strict=True
            )
        ]
        return targets, semantic_maps.masked_fill(unknown, IGNORE)

    def _point_regions(self, image: ImagePoints) -> Tensor:
        return self.labeler.point_regions(image.points_xy, image.labels, image.regions)

    def _targets(
        self,
        images: Sequence[ImagePoints],
        point_regions: Sequence[Tensor],
        offset: Tensor | None = None,
    ) -> list[PointTargets]:
        """Compute the targets of each image: initial, or refined by ``(B, 2, H, W)`` offsets."""
        offsets = [None] * len(images) if offset is None else offset
        return [
            self.labeler.targets(
                image.points_xy,
                region_map=image.regions.region_map,
                point_regions=of_points,
                offset=image_offset,
                given=image.given,
            )
            for image, of_points, image_offset in zip(images, point_regions, offsets, strict=True)
        ]

    def _propagated_maps(
        self, maps: NetworkMaps, weak_maps: Tensor, images: Sequence[ImagePoints]
    ) -> Tensor:
        """Return the ``(B, H, W)`` argmax of S over each image's classes.

        Pixels that are 255 in the weak map are 255 here too.
        """
        ignored, propagated = weak_maps == IGNORE, []
        for index, image in enumerate(images):
            one = slice(index, index + 1)
            scores = self.scorer(
                maps.semantic_logits[one],
                maps.embedding[one],
                image.values,
                ignored=ignored[one],
                weak_map=weak_maps[one],
                align_corners=maps.align_corners,
            )
            semantic_map = argmax_map(scores[0], image.values)[0]
            if image.given is not None and len(image.labels):
                owners = image.given.owners.long()
                known = image.labels[(owners - 1).clamp_min(0)] + 1
                semantic_map = torch.where(owners > 0, known, semantic_map)
            propagated.append(semantic_map)
        return torch.stack(propagated).masked_fill_(ignored, IGNORE)


def _has_begun(begin: int | None, iteration: int) -> bool:
    return begin is not None and iteration >= begin


def _with_regions(image: ImagePoints, semantic_map: Tensor) -> ImagePoints:
    """Replace the regions of an image by those of an ``(H, W)`` semantic map, found on the CPU."""
    regions = find_regions(semantic_map.cpu().numpy(), image.labels.cpu().numpy())
    return dataclasses.replace(image, regions=regions.to(semantic_map.device))


def _without_orphans(
    semantic_maps: Tensor, images: Sequence[ImagePoints], point_regions: Sequence[Tensor]
) -> Tensor:
    """Set regions without a point to ignore in ``(B, H, W)`` maps, as every object has a point.

    A part of a true mask stays.
    """
    with_point = [
        torch.isin(image.regions.region_map, of_points[of_points > 0])
        for image, of_points in zip(images, point_regions, strict=True)
    ]
    for index, image in enumerate(images):
        if image.given is not None:
            with_point[index] |= image.given.owners > 0
    return semantic_maps.masked_fill((semantic_maps > 0) & ~torch.stack(with_point), IGNORE)
