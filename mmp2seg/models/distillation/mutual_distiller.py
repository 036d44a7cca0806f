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
from torch.nn.utils.rnn import pad_sequence

from mmp2seg.codecs import (
    GivenMasks,
    ImagePoints,
    InstanceScorer,
    PointBatch,
    PointPseudoLabeler,
    PointTargets,
    pad_points,
)
from mmp2seg.models.distillation.semantic_scorer import SemanticScorer
from mmp2seg.ops.affinity import mask_unknown
from mmp2seg.ops.components import IGNORE, Regions, find_regions_of_batch
from mmp2seg.registry import MODELS, TASK_UTILS

SEMANTIC_INPUTS = ('network', 'weak')
SEMANTIC_USES = ('none', 'offset', 'semantic')
# Scores of images that are joined, of points and pixels: 16 images of 416 x 416 with 23 points. A
# round takes about five times their memory, 1.4 GB.
_GROUP_ELEMENTS = 1 << 26
# Scores for padding in a group. To compute them takes about as long as to start the operations of
# another group.
_GROUP_PADDING = 1 << 25


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


class PointGroup(NamedTuple):
    """Images of a batch that are computed together, and their points.

    Attributes:
        places: of the images in the batch.
        points: of one image, or of several.
    """

    places: tuple[int, ...]
    points: ImagePoints | PointBatch

    @property
    def is_batch(self) -> bool:
        """Whether their maps have a dimension of images."""
        return isinstance(self.points, PointBatch)

    def with_images(self, values: Tensor) -> Tensor:
        """Return values of the points or of their maps as ``(b, ...)``."""
        return values if self.is_batch else values[None]

    def batch(self, maps: Tensor) -> Tensor:
        """Return their part ``(b, ...)`` of ``(B, ...)`` maps."""
        if self.places == tuple(range(self.places[0], self.places[-1] + 1)):
            return maps[self.places[0] : self.places[-1] + 1]
        return torch.stack([maps[place] for place in self.places])  # an index would make a GPU wait

    def of(self, maps: Tensor) -> Tensor:
        """Return their part of ``(B, ...)`` maps; that of a single image has no dimension b."""
        return self.batch(maps) if self.is_batch else maps[self.places[0]]


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
        images: Sequence[ImagePoints] | Sequence[PointGroup],
        *,
        iteration: int,
        padding: Tensor | None = None,
    ) -> DistilledTargets:
        """Compute the targets of a batch.

        Args:
            maps: output of the heads.
            weak_maps: ``(B, H, W)`` integers, 0 background, k + 1 class k; padding is 255.
            images: points and regions of the weak map of each image, or what :meth:`joined` made
                of them.
            iteration: the runner's iteration, counted from 0.
            padding: ``(B, H, W)`` bool, the pixels outside the images; None: there are none.

        Returns:
            DistilledTargets: on the device of the predictions.
        """
        groups = _groups(images)
        point_regions = self._point_regions(groups)
        initial = self._targets(groups, point_regions)
        targets, semantic_maps = [(initial, weak_maps)], [weak_maps]
        if _has_begun(self.refine_begin, iteration) and self._assigns(iteration):
            refined, source = self._assigned_targets(maps, weak_maps, groups, padding)
            if self._has_semantic_target(iteration):
                semantic_maps.append(source)
            targets.append((refined, source))
        elif _has_begun(self.refine_begin, iteration):
            source = weak_maps
            if maps.embedding is not None and self._propagates(iteration):
                source = self._propagated_maps(maps, weak_maps, groups)
                groups = _with_regions(groups, source)
                point_regions = self._point_regions(groups)
                if self._has_semantic_target(iteration):
                    semantic_maps.append(_without_orphans(source, groups, point_regions))
            targets.append((self._targets(groups, point_regions, maps.offset), source))
        return DistilledTargets(
            semantic_maps=semantic_maps,
            offsets=[(of_maps.offset, of_maps.weight) for of_maps, _ in targets],
            instance_maps=torch.stack(
                [
                    mask_unknown(of_maps.instance_map, semantic_map)
                    for of_maps, semantic_map in targets
                ],
                dim=1,
            ),
        )

    def joined(self, images: Sequence[ImagePoints]) -> list[PointGroup]:
        """Join the points of images on a GPU, so that :meth:`distill` takes fewer operations.

        Call it before the network's forward pass. Images with about as many points are joined, so
        that little is computed for padding, and at most as many as memory should hold. On a CPU,
        and for a scorer that needs an embedding, or whose class has an ``assign`` of its own, each
        image stays alone, as do images with given masks and boxes.
        """
        scorer = self.instance_scorer
        batches = scorer is None or (
            not scorer.needs_embedding and type(scorer).assign is InstanceScorer.assign
        )
        groups = []
        for places in _divided(images) if batches else [[place] for place in range(len(images))]:
            if len(places) > 1:
                points: ImagePoints | PointBatch = PointBatch.of([images[p] for p in places])
            else:
                points = images[places[0]]
                points.values  # noqa: B018 (it is kept; after the network, the host waits longer)
            groups.append(PointGroup(tuple(places), points))
        return groups

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
        groups: Sequence[PointGroup],
        padding: Tensor | None,
    ) -> tuple[PointTargets, Tensor]:
        """Return the refined targets of a batch by the instance scorer, and ``(B, H, W)`` S.

        Pixels that are 255 in the weak map are 255 in S. So are pixels that S is not sure of, and
        those of a class that do not hang together with one of its points.
        """
        scorer = self.instance_scorer
        assert scorer is not None
        mixed = dataclasses.replace(self.scorer, rounds=0, use_weak_map=True)
        found = []
        for group in groups:
            probs = mixed(
                group.batch(maps.semantic_logits),
                None,
                group.points.values,
                ignored=group.batch(weak_maps) == IGNORE,
                weak_map=group.batch(weak_maps),
                align_corners=maps.align_corners,
            )
            found.append(self._assign(scorer, group, probs, maps, padding))
        instance_maps, semantic_maps, confidence = (
            _in_order(groups, values) for values in zip(*found, strict=True)
        )
        points_xy = _points_of_all(groups)
        given: list[GivenMasks | None] = [None] * len(points_xy)
        for group in groups:
            given[group.places[0]] = group.points.given  # none for several images
        instance_maps = scorer.connect(instance_maps, points_xy, given)
        ignored = weak_maps == IGNORE
        unknown = ignored | (confidence < self.min_confidence)
        unknown |= (semantic_maps > 0) & (instance_maps == 0)
        targets = self.labeler.targets_of_instances(
            points_xy, instance_maps.masked_fill(ignored, 0)
        )
        return targets, semantic_maps.masked_fill(unknown, IGNORE)

    def _assign(
        self,
        scorer: InstanceScorer,
        group: PointGroup,
        probs: Tensor,
        maps: NetworkMaps,
        padding: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return instances, not connected, semantic values and confidence; ``(b, H, W)`` each."""
        points, inputs = group.points, maps.inputs
        valid = None if padding is None else ~group.of(padding)
        if isinstance(points, PointBatch):
            assigned = scorer.assign_batch(
                probs,
                group.of(maps.offset),
                points.points_xy,
                points.channels,
                image=None if inputs is None else group.of(inputs),
                valid=valid,
            )
        else:
            assigned = scorer.assign(
                probs[0],
                group.of(maps.offset),
                points.points_xy,
                points.channels,
                image=None if inputs is None else group.of(inputs),
                embedding=None if maps.embedding is None else group.of(maps.embedding),
                valid=valid,
                connect=False,
                given=points.given,
            )
        instance_map, channel_map, confidence = (
            group.with_images(one)
            for one in (assigned.instance_map, assigned.channel_map, assigned.confidence)
        )
        return instance_map, _values_of(points, channel_map), confidence

    def _point_regions(self, groups: Sequence[PointGroup]) -> list[Tensor]:
        return [
            self.labeler.point_regions(points.points_xy, points.labels, points.regions)
            for points in (group.points for group in groups)
        ]

    def _targets(
        self,
        groups: Sequence[PointGroup],
        point_regions: Sequence[Tensor],
        offset: Tensor | None = None,
    ) -> PointTargets:
        """Compute the targets of a batch: initial, or refined by ``(B, 2, H, W)`` offsets."""
        found = []
        for group, of_points in zip(groups, point_regions, strict=True):
            points = group.points
            targets = self.labeler.targets(
                points.points_xy,
                region_map=points.regions.region_map,
                point_regions=of_points,
                offset=None if offset is None else group.of(offset),
                given=points.given,
            )
            values = targets.instance_map, targets.offset, targets.weight
            found.append([group.with_images(value) for value in values])
        return PointTargets(*(_in_order(groups, values) for values in zip(*found, strict=True)))

    def _propagated_maps(
        self, maps: NetworkMaps, weak_maps: Tensor, groups: Sequence[PointGroup]
    ) -> Tensor:
        """Return the ``(B, H, W)`` argmax of S over each image's classes.

        Pixels that are 255 in the weak map are 255 here too.
        """
        ignored, propagated = weak_maps == IGNORE, []
        for group in groups:
            points = group.points
            scores = self.scorer(
                group.batch(maps.semantic_logits),
                group.batch(maps.embedding),
                points.values,
                ignored=group.batch(ignored),
                weak_map=group.batch(weak_maps),
                align_corners=maps.align_corners,
            )
            if isinstance(points, PointBatch):  # a value of padding is none
                scores = scores.masked_fill((points.values < 0)[..., None, None], -1)
            semantic_map = _values_of(points, scores.max(dim=1).indices)
            if points.given is not None and len(points.labels):
                owners = points.given.owners.long()
                known = points.labels[(owners - 1).clamp_min(0)] + 1
                semantic_map = torch.where(owners > 0, known, semantic_map)
            propagated.append(semantic_map)
        return _in_order(groups, propagated).masked_fill(ignored, IGNORE)


def _groups(images: Sequence[ImagePoints] | Sequence[PointGroup]) -> list[PointGroup]:
    return [
        image if isinstance(image, PointGroup) else PointGroup((place,), image)
        for place, image in enumerate(images)
    ]


def _can_be_joined(image: ImagePoints) -> bool:
    return image.given is None and image.labels.device.type != 'cpu'


def _divided(images: Sequence[ImagePoints]) -> list[list[int]]:
    """Divide a batch into images that are joined.

    A group has at most ``_GROUP_PADDING`` scores for padding to the largest number of points, and
    at most ``_GROUP_ELEMENTS`` scores, unless it is one image.
    """
    alone = [[place] for place, image in enumerate(images) if not _can_be_joined(image)]
    groups: list[list[int]] = []
    maps = [len(image.labels) + 1 for image in images]  # of scores
    total = 0  # of the last group, without padding
    places = [place for place, image in enumerate(images) if _can_be_joined(image)]
    for place in sorted(places, key=lambda place: -maps[place]):
        pixels = images[place].regions.region_map.numel()
        padded = maps[groups[-1][0]] * (len(groups[-1]) + 1) if groups else 0
        padding = padded - total - maps[place]
        if groups and padding * pixels <= _GROUP_PADDING and padded * pixels <= _GROUP_ELEMENTS:
            groups[-1].append(place)
            total += maps[place]
        else:
            groups.append([place])
            total = maps[place]
    return alone + [sorted(group) for group in groups]


def _of_images(groups: Sequence[PointGroup], values: Sequence[Tensor]) -> list[Tensor]:
    """Return each image's part of the groups' ``(b, ...)`` values, in the order of the batch."""
    of_place = {
        place: one
        for group, of_group in zip(groups, values, strict=True)
        for place, one in zip(group.places, of_group, strict=True)
    }
    return [of_place[place] for place in range(len(of_place))]


def _in_order(groups: Sequence[PointGroup], values: Sequence[Tensor]) -> Tensor:
    """Join the groups' ``(b, ...)`` values to ``(B, ...)``, in the order of the batch."""
    return values[0] if len(groups) == 1 else torch.stack(_of_images(groups, values))


def _points_of_all(groups: Sequence[PointGroup]) -> Tensor:
    """Return the points of all images, ``(B, N, 2)``."""
    points_xy = [group.with_images(group.points.points_xy) for group in groups]
    return points_xy[0] if len(groups) == 1 else pad_points(_of_images(groups, points_xy))


def _values_of(points: ImagePoints | PointBatch, channel_maps: Tensor) -> Tensor:
    """Return the semantic values of ``(b, H, W)`` channels."""
    if isinstance(points, PointBatch):
        return points.values.gather(1, channel_maps.flatten(1)).view(channel_maps.shape)
    return points.values.take(channel_maps)


def _has_begun(begin: int | None, iteration: int) -> bool:
    return begin is not None and iteration >= begin


def _with_regions(groups: Sequence[PointGroup], semantic_maps: Tensor) -> list[PointGroup]:
    """Replace the regions of the images by those of ``(B, H, W)`` maps."""
    if all(group.is_batch for group in groups):
        return [
            _with(group, find_regions_of_batch(group.batch(semantic_maps), group.points.labels))
            for group in groups
        ]
    # at once, as the host may have to wait for the maps
    of_groups = [group.with_images(group.points.labels) for group in groups]
    labels = pad_sequence(_of_images(groups, of_groups), batch_first=True, padding_value=-1)
    regions = find_regions_of_batch(semantic_maps, labels)
    return [_with(group, Regions(*(group.of(values) for values in regions))) for group in groups]


def _with(group: PointGroup, regions: Regions) -> PointGroup:
    return group._replace(points=dataclasses.replace(group.points, regions=regions))


def _without_orphans(
    semantic_maps: Tensor, groups: Sequence[PointGroup], point_regions: Sequence[Tensor]
) -> Tensor:
    """Set regions without a point to ignore in ``(B, H, W)`` maps, as every object has a point.

    A part of a true mask stays.
    """
    found = []
    for group, of_points in zip(groups, point_regions, strict=True):
        regions = group.points.regions
        size = (*regions.labels.shape[:-1], regions.labels.shape[-1] + 1)
        has_point = of_points.new_zeros(size, dtype=torch.bool).scatter_(-1, of_points, True)
        has_point[..., 0] = False  # no region
        flat = regions.region_map.flatten(-2).long()
        with_point = has_point.gather(-1, flat).view(regions.region_map.shape)
        if group.points.given is not None:
            with_point = with_point | (group.points.given.owners > 0)
        found.append(group.with_images(with_point))
    with_points = _in_order(groups, found)
    return semantic_maps.masked_fill((semantic_maps > 0) & ~with_points, IGNORE)
