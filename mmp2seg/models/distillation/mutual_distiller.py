"""Mutual distillation: predictions and points -> the targets of a training step.

Dimensions: ``B`` images; ``K`` classes; ``H, W`` pixels of the network's input; ``h, w`` of the
heads' maps; ``D`` embedding channels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mmp2seg.codecs import PointPseudoLabeler, PointTargets
from mmp2seg.ops.affinity import BACKGROUND, IGNORED, propagate
from mmp2seg.ops.components import IGNORE
from mmp2seg.ops.semantic_scores import restricted_argmax
from mmp2seg.registry import MODELS, TASK_UTILS

SEMANTIC_INPUTS = ('network', 'weak')
SEMANTIC_USES = ('none', 'offset', 'semantic')


@dataclass
class DistilledTargets:
    """What a training step is trained on: the initial targets first, then the refined ones.

    Attributes:
        semantic_maps: ``(B, H, W)`` integers each, 0 background, k + 1 class k, 255 ignore.
        offsets: pairs of ``(B, 2, H, W)`` float32 offsets and ``(B, H, W)`` float32 weights.
        instance_maps: ``(B, M, H, W)`` int32, 1..N an instance, 0 background, -1 ignored; a map
            per entry of ``offsets``.
    """

    semantic_maps: list[Tensor]
    offsets: list[tuple[Tensor, Tensor]]
    instance_maps: Tensor


@MODELS.register_module()
class MutualDistiller:
    """Rounds of instance map -> affinity -> semantic map -> instance map, without gradient.

    The offsets refine the instances of the weak map (S2I). Then, ``rounds`` times, the predicted
    affinity propagates semantic scores, ``S = A^(o beta) * C`` (I2S); S is the C of the next round.
    The regions of the last S are cut into instances by the offsets. Offset and affinity are trained
    on the initial and on the refined instances.

    Args:
        labeler: a :class:`mmp2seg.codecs.PointPseudoLabeler` or its config, the pipeline's own.
        rounds: propagations per training step; 0 leaves S2I alone.
        beta: Hadamard power of the affinity (table 10).
        threshold: affinities below it do not propagate.
        radius: nor do those of pixels farther apart, in cells of the embedding's grid; None = no
            limit.
        semantic_input: the C of the first round: ``'network'``, the probabilities of the semantic
            head, or ``'weak'``, the weak map itself, which the affinity then clears of its errors.
        network_weight: share of the network's own probabilities that is mixed into the last S.
        semantic_use: where the semantic map of the last round is used: ``'none'``, ``'offset'``
            (the regions of refined instances), ``'semantic'`` (also a target of the semantic head).
        refine_begin: iteration from which refined offsets are targets (1 in the released code).
        propagate_begin: iteration from which rounds take place.
        semantic_begin: iteration from which S is a semantic target as well. None is never, for all
            three; every one is compared with the runner's iteration, so it survives resume.

    Raises:
        ValueError: for an unknown ``semantic_use``, or negative ``rounds``.
    """

    def __init__(
        self,
        *,
        labeler: dict | PointPseudoLabeler,
        rounds: int = 1,
        beta: float = 1.0,
        threshold: float = 0.0,
        radius: float | None = None,
        semantic_input: str = 'network',
        network_weight: float = 0.0,
        semantic_use: str = 'offset',
        refine_begin: int | None = 1,
        propagate_begin: int | None = 1,
        semantic_begin: int | None = 1,
    ) -> None:
        if semantic_input not in SEMANTIC_INPUTS:
            raise ValueError(
                f'expected semantic_input in {SEMANTIC_INPUTS}, got {semantic_input!r}'
            )
        if not 0 <= network_weight <= 1:
            raise ValueError(f'expected network_weight in [0, 1], got {network_weight}')
        if semantic_use not in SEMANTIC_USES:
            raise ValueError(f'expected semantic_use in {SEMANTIC_USES}, got {semantic_use!r}')
        if rounds < 0:
            raise ValueError(f'expected rounds >= 0, got {rounds}')
        self.labeler = TASK_UTILS.build(labeler) if isinstance(labeler, dict) else labeler
        self.rounds = rounds
        self.beta = beta
        self.threshold = threshold
        self.radius = radius
        self.semantic_input = semantic_input
        self.network_weight = network_weight
        self.semantic_use = semantic_use
        self.refine_begin = refine_begin
        self.propagate_begin = propagate_begin
        self.semantic_begin = semantic_begin

    @torch.no_grad()
    def distill(
        self,
        *,
        semantic_logits: Tensor,
        offset: Tensor,
        embedding: Tensor | None,
        semantic_map: Tensor,
        initial: Sequence[PointTargets],
        points_xy: Sequence[Tensor],
        labels: Sequence[Tensor],
        iteration: int,
    ) -> DistilledTargets:
        """Targets of a batch.

        Args:
            semantic_logits: ``(B, K + 1, h, w)`` raw map of the semantic head.
            offset: ``(B, 2, H, W)`` ``(dx, dy)``, in pixels.
            embedding: ``(B, D, h', w')``, or None for a network without an affinity head.
            semantic_map: ``(B, H, W)`` integers, the weak map; padding is 255.
            initial: what the labeler encoded from points and weak map, of each image.
            points_xy: ``(N, 2)`` float32 of each image, in its input frame.
            labels: ``(N,)`` int64 of each image, 0..K-1.
            iteration: of the runner, from 0.

        Returns:
            DistilledTargets: on the device of the predictions.
        """
        semantic_maps, source = [semantic_map], semantic_map
        targets = [(list(initial), semantic_map)]
        if _has_begun(self.refine_begin, iteration):
            regions = [(image.region_map, image.point_regions) for image in initial]
            if embedding is not None and self._propagates(iteration):
                source = self._propagated_map(semantic_logits, embedding, semantic_map, labels)
                images = zip(points_xy, labels, source)
                regions = [self.labeler.regions(*image) for image in images]
                if self.semantic_use == 'semantic' and _has_begun(self.semantic_begin, iteration):
                    semantic_maps.append(_without_orphans(source, regions))
            targets.append((self._refine(offset, regions, points_xy), source))
        return DistilledTargets(
            semantic_maps=semantic_maps,
            offsets=[_batch_offsets(images) for images, _ in targets],
            instance_maps=torch.stack([_affinity_labels(*target) for target in targets], dim=1),
        )

    def semantic_scores(
        self,
        semantic_logits: Tensor,
        embedding: Tensor | None,
        *,
        rounds: int,
        network_weight: float,
        ignored: Tensor,
        semantic_map: Tensor | None = None,
    ) -> Tensor:
        """S after a number of rounds, with the network's share in it.

        What the affinity of a coarser grid changes about the network's probabilities is added to
        them, so that they keep their resolution.

        Args:
            semantic_logits: ``(B, K + 1, h, w)`` raw map of the semantic head.
            embedding: ``(B, D, h', w')``; None if ``rounds`` is 0.
            rounds: number of propagations; 0 takes the weak map, if there is one, as it is.
            network_weight: share of the network's own probabilities in the result.
            ignored: ``(B, H, W)`` bool, pixels that propagate nothing, such as padding.
            semantic_map: ``(B, H, W)`` integers, the weak map, which is then what propagates; None
                for the network's probabilities.

        Returns:
            Tensor: ``(B, K + 1, H, W)`` float32, at least 0; sums to 1 over the channels where the
            weak map has a label within reach.
        """
        size = tuple(ignored.shape[-2:])
        grid = size if rounds == 0 else tuple(embedding.shape[-2:])
        probs = _resize(semantic_logits.float(), size).softmax(dim=1)
        if semantic_map is None:
            scores = before = _resize(semantic_logits.float(), grid).softmax(dim=1)
            valid = F.interpolate((~ignored)[:, None].float(), size=grid, mode='nearest-exact')
        else:
            scores = _class_shares(semantic_map, semantic_logits.shape[1], ignored, grid)
            valid = scores.sum(dim=1, keepdim=True)
        for _ in range(rounds):
            scores = propagate(
                embedding,
                scores,
                beta=self.beta,
                threshold=self.threshold,
                radius=self.radius,
                valid=valid[:, 0] > 0,
            )
        if semantic_map is None:
            scores = (probs + _resize(scores - before, size)).clamp(min=0)
        else:
            scores = _resize(scores, size)
        return torch.lerp(scores, probs, network_weight)

    def _propagates(self, iteration: int) -> bool:
        wanted = self.rounds > 0 and self.semantic_use != 'none'
        return wanted and _has_begun(self.propagate_begin, iteration)

    def _propagated_map(
        self,
        semantic_logits: Tensor,
        embedding: Tensor,
        semantic_map: Tensor,
        labels: Sequence[Tensor],
    ) -> Tensor:
        """S as a semantic map ``(B, H, W)`` of each image's classes; 255 where the weak map is."""
        ignored = semantic_map == IGNORE
        scores = self.semantic_scores(
            semantic_logits,
            embedding,
            rounds=self.rounds,
            network_weight=self.network_weight,
            ignored=ignored,
            semantic_map=semantic_map if self.semantic_input == 'weak' else None,
        )
        maps = [restricted_argmax(*image)[0] for image in zip(scores, labels)]
        return torch.stack(maps).masked_fill_(ignored, IGNORE)

    def _refine(
        self,
        offset: Tensor,
        regions: Sequence[tuple[Tensor, Tensor]],
        points_xy: Sequence[Tensor],
    ) -> list[PointTargets]:
        return [
            self.labeler.refine(
                image_offset, points, region_map=region_map, point_regions=point_regions
            )
            for image_offset, (region_map, point_regions), points in zip(offset, regions, points_xy)
        ]


def _has_begun(begin: int | None, iteration: int) -> bool:
    return begin is not None and iteration >= begin


def _resize(values: Tensor, size: tuple[int, int]) -> Tensor:
    if tuple(values.shape[-2:]) == size:
        return values
    return F.interpolate(values, size=size, mode='bilinear', align_corners=False)


def _class_shares(
    semantic_map: Tensor, num_values: int, ignored: Tensor, grid: tuple[int, int]
) -> Tensor:
    """``(B, H, W)`` map -> ``(B, K + 1, h, w)``: the values' shares of a cell's labelled pixels."""
    values = semantic_map.long().masked_fill(ignored, num_values)
    one_hot = F.one_hot(values, num_values + 1)[..., :-1].permute(0, 3, 1, 2)
    shares = F.interpolate(one_hot.float(), size=grid, mode='area')
    return shares / shares.sum(dim=1, keepdim=True).clamp(min=1e-6)


def _batch_offsets(images: Sequence[PointTargets]) -> tuple[Tensor, Tensor]:
    """``(B, 2, H, W)`` offsets and ``(B, H, W)`` weights."""
    return torch.stack([image.offset for image in images]), torch.stack(
        [image.weight for image in images]
    )


def _without_orphans(semantic_map: Tensor, regions: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """``(B, H, W)`` map in which regions without a point are ignored: every object has a point."""
    with_point = [
        torch.isin(region_map, point_regions[point_regions > 0])
        for region_map, point_regions in regions
    ]
    return semantic_map.masked_fill((semantic_map > 0) & ~torch.stack(with_point), IGNORE)


def _affinity_labels(images: Sequence[PointTargets], semantic_map: Tensor) -> Tensor:
    """Instance maps ``(B, H, W)`` int32 in which what is neither instance nor background is -1."""
    instance_maps = torch.stack([image.instance_map for image in images])
    unknown = (instance_maps == BACKGROUND) & (semantic_map != 0)
    return instance_maps.masked_fill(unknown, IGNORED)
