"""P2Seg: the stage-1 network that turns points into instance masks."""

import dataclasses
import sys
from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from mmdet.models.detectors import BaseDetector
from mmdet.structures import DetDataSample, OptSampleList, SampleList
from mmengine.logging import MessageHub
from mmengine.structures import PixelData
from torch import Tensor

from mmp2seg.codecs import AssignmentMemo
from mmp2seg.codecs.building import build_codecs, require_no_labeler
from mmp2seg.codecs.data_samples import (
    add_instances,
    image_points,
    original_given_masks,
    require_original_points,
)
from mmp2seg.deprecation import warn_deprecated
from mmp2seg.models.detectors.original_frame import offset_factors, to_original_frame
from mmp2seg.models.distillation import NetworkMaps, SemanticScorer
from mmp2seg.models.pretrained import require_pretrained
from mmp2seg.ops.components import IGNORE
from mmp2seg.ops.semantic_scores import image_values, resize_scores, value_probs
from mmp2seg.registry import MODELS

_TEST_DEFAULTS = dict(
    decoder=None, rounds=0, use_weak_map=False, network_weight=0.0, return_maps=False
)


class RawMaps(NamedTuple):
    """Raw maps of the heads, of a batch.

    Attributes:
        logits: ``(B, K + 1, h, w)`` semantic logits.
        offset: ``(B, 2, h, w)`` offsets.
        embedding: ``(B, D, h, w)``; None without an affinity head.
    """

    logits: Tensor
    offset: Tensor
    embedding: Tensor | None = None


class ImageMaps(NamedTuple):
    """Maps of an image in its original frame.

    Attributes:
        scores: ``(V, H', W')`` float32, of the values that
            :func:`mmp2seg.ops.semantic_scores.image_values` returns.
        offset: ``(2, H', W')`` float32 ``(dx, dy)`` in pixels of the original image.
        image: ``(3, H', W')`` float32, the normalised network input; None if the decoder does not
            look at it.
        embedding: ``(D, H', W')`` float32; None if the decoder does not use it.
        own_scores: ``(V, H', W')`` float32, the network's own probabilities, without the weak map;
            None: they are not known.
    """

    scores: Tensor
    offset: Tensor
    image: Tensor | None = None
    embedding: Tensor | None = None
    own_scores: Tensor | None = None


@MODELS.register_module()
class P2Seg(BaseDetector):
    """Network with semantic, offset and affinity heads that turns points into instance masks.

    Points are an input in training and at inference. Training uses mutual distillation. The
    semantic head learns the weak map. The offset head learns the offsets, and the affinity head the
    pixel pairs, of two sets of instances: the initial ones, and those refined by the predictions
    (S2I by offsets, I2S by affinities). Inference gives an instance mask for every point ('points
    first'), or reports the point as dropped.

    Args:
        backbone, neck: configs. The heads get the features of the neck, or of the backbone if there
            is no neck.
        semantic_head: config of a :class:`mmp2seg.models.SemanticHead`.
        offset_head: config of an :class:`mmp2seg.models.OffsetHead`.
        labeler: config of the :class:`mmp2seg.codecs.PointPseudoLabeler`, which distiller and
            decoder share. None: the labeler's default arguments.
        affinity_head: config of an :class:`mmp2seg.models.AffinityHead`; None: only S2I is used.
        mdm_loss: config of the :class:`mmp2seg.models.MDMLoss`.
        distiller: config of the :class:`mmp2seg.models.MutualDistiller`.
        train_cfg: see :class:`mmdet.models.BaseDetector`; ignored.
        test_cfg: options of inference.
            ``decoder``: config of the :class:`mmp2seg.codecs.InstanceDecoder` (type optional).
            ``rounds``: number of times that the affinity propagates the scores (default 0).
            ``use_weak_map``: use the weak map of samples that have one (default False).
            ``network_weight``: share of the network's own probabilities in the scores (default 0).
            For these three, see :class:`mmp2seg.models.SemanticScorer`.
            ``return_maps``: add ``pred_sem_seg`` and ``pred_offset`` to the results (default
            False).
        channels_last: use the channels-last memory format for convolutions. Results are the same;
            training is faster on a CPU and on a GPU.
        data_preprocessor, init_cfg: see :class:`mmdet.models.BaseDetector`.

    Raises:
        ValueError: ``test_cfg`` has an unknown key, or ``rounds`` or an instance scorer needs an
            affinity head and there is none.
    """

    def __init__(
        self,
        *,
        backbone: dict,
        semantic_head: dict,
        offset_head: dict,
        labeler: dict | None = None,
        neck: dict | None = None,
        affinity_head: dict | None = None,
        mdm_loss: dict | None = None,
        distiller: dict | None = None,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        channels_last: bool = False,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        self.backbone = MODELS.build(backbone)
        self.neck = None if neck is None else MODELS.build(neck)
        self.semantic_head = MODELS.build(semantic_head)
        self.offset_head = MODELS.build(offset_head)
        self.affinity_head = None if affinity_head is None else MODELS.build(affinity_head)
        self.mdm_loss = MODELS.build(mdm_loss or dict(type='mmp2seg.MDMLoss'))
        test_cfg = _with_moved_grouping(test_cfg or {})
        unknown = sorted(set(test_cfg) - set(_TEST_DEFAULTS))
        if unknown:
            raise ValueError(f'expected test_cfg keys {list(_TEST_DEFAULTS)}, got {unknown}')
        self.train_cfg = train_cfg
        self.test_cfg = {**_TEST_DEFAULTS, **test_cfg}
        self.labeler, self.decoder = build_codecs(labeler, self.test_cfg['decoder'])
        distiller = distiller or dict(type='mmp2seg.MutualDistiller')
        require_no_labeler(distiller, 'model.distiller')
        self.distiller = MODELS.build({**distiller, 'labeler': self.labeler})
        self.test_scorer = self._make_test_scorer()
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.to(memory_format=self.memory_format)

    def _make_test_scorer(self) -> SemanticScorer:
        """Return the distiller's scorer with the options of ``test_cfg``."""
        options = {key: self.test_cfg[key] for key in ('rounds', 'use_weak_map', 'network_weight')}
        scorer = self.distiller.instance_scorer
        wanting = self.decoder.needs_embedding or (scorer is not None and scorer.needs_embedding)
        if wanting and self.affinity_head is None:
            raise ValueError(
                'the affinity of the scores uses the embedding: expected an affinity_head'
            )
        if options['rounds'] > 0 and self.affinity_head is None:
            raise ValueError('test_cfg.rounds propagates by affinity: expected an affinity_head')
        return dataclasses.replace(self.distiller.scorer, **options)

    @property
    def unused_at_inference(self) -> tuple[str, ...]:
        """Prefixes of entries that inference does not need, so that a checkpoint may lack them."""
        used = self.decoder.needs_embedding or self.test_scorer.rounds > 0
        return () if used else ('affinity_head.',)

    def init_weights(self) -> None:
        """Initialise all parts by their ``init_cfg``.

        Raises:
            RuntimeError: pretrained weights cannot be fetched or read, or do not match. Training
                starts from random weights only if the config says so.
        """
        require_pretrained(self)
        super().init_weights()

    def extract_feat(self, batch_inputs: Tensor) -> tuple[Tensor, ...]:
        """Compute the feature maps for the heads from ``(B, 3, H, W)`` images."""
        features = self.backbone(batch_inputs.contiguous(memory_format=self.memory_format))
        return tuple(features if self.neck is None else self.neck(features))

    def _forward(self, batch_inputs: Tensor, batch_data_samples: OptSampleList = None) -> RawMaps:
        """Compute the raw maps of the heads; they do not depend on the points."""
        features = self.extract_feat(batch_inputs)
        embedding = None if self.affinity_head is None else self.affinity_head(features)
        return RawMaps(self.semantic_head(features), self.offset_head(features), embedding)

    def loss(self, batch_inputs: Tensor, batch_data_samples: SampleList) -> dict[str, Tensor]:
        """Compute ``loss_semantic``, ``loss_offset`` and, with an affinity head, ``loss_affinity``.

        Args:
            batch_inputs: ``(B, 3, H, W)`` normalised images.
            batch_data_samples: with ``gt_instances``, and ``gt_sem_seg`` and ``gt_region_map``
                padded to H x W; see :mod:`mmp2seg.structures.fields`.
        """
        size = tuple(batch_inputs.shape[-2:])
        images = self.distiller.joined([image_points(sample) for sample in batch_data_samples])
        logits, offset, embedding = self._forward(batch_inputs)
        offset = self.offset_head.predict_by_feat(offset, size)
        targets = self.distiller.distill(
            NetworkMaps(
                logits, offset, embedding, self.semantic_head.align_corners, inputs=batch_inputs
            ),
            torch.cat([sample.gt_sem_seg.sem_seg for sample in batch_data_samples]),
            images,
            iteration=_runner_iteration(),
            padding=_padding_of_batch(batch_data_samples, size=size, device=batch_inputs.device),
        )
        return self.mdm_loss(
            semantic_logits=self.semantic_head.upsample(logits, size),
            semantic_targets=targets.semantic_maps,
            offset=offset,
            offset_targets=targets.offsets,
            embedding=embedding,
            instance_maps=targets.instance_maps,
        )

    def predict(self, batch_inputs: Tensor, batch_data_samples: SampleList) -> SampleList:
        """Add ``pred_instances`` and ``dropped_points`` to every sample.

        Args:
            batch_inputs: ``(B, 3, H, W)`` normalised images, padded at the bottom and the right.
            batch_data_samples: with ``ori_points`` and the metainfo ``img_shape``, ``ori_shape``.

        Returns:
            list[DetDataSample]: the same samples, see :mod:`mmp2seg.structures.fields`.
        """
        maps = self.predict_maps(batch_inputs, batch_data_samples)
        for sample, of_image in zip(batch_data_samples, maps):
            self.decode_maps(sample, of_image)
        return batch_data_samples

    def predict_maps(
        self, batch_inputs: Tensor, batch_data_samples: SampleList
    ) -> Iterator[ImageMaps]:
        """Compute the maps of each image in its original frame (H', W'), undoing resize and flips.

        To save memory, this yields one image at a time, with the scores of only background and the
        classes of its points. The network sees images of different sizes one size after the other,
        without the padding that the batch added: an image gets the same maps in any batch.

        Args:
            batch_inputs, batch_data_samples: see :meth:`predict`. The metainfo ``flip`` and
                ``flip_direction`` is read too if present, and so are the weak maps if ``test_cfg``
                uses them.

        Yields:
            ImageMaps: of each image.
        """
        batch_size = tuple(batch_inputs.shape[-2:])
        sizes = [tuple(sample.get('pad_shape', batch_size)[:2]) for sample in batch_data_samples]
        raw_maps: dict[tuple[int, int], RawMaps] = {}
        for index, sample in enumerate(batch_data_samples):
            size = sizes[index]
            members = [other for other, its_size in enumerate(sizes) if its_size == size]
            if size not in raw_maps:
                raw_maps[size] = self._forward(batch_inputs[members, :, : size[0], : size[1]])
            place = members.index(index)
            one = slice(place, place + 1)
            logits, offset, embedding = raw_maps[size]
            yield from self.original_maps(
                (logits[one], offset[one], None if embedding is None else embedding[one]),
                batch_inputs[index : index + 1, :, : size[0], : size[1]],
                [sample],
            )

    def original_maps(
        self,
        raw_maps: tuple[Tensor, Tensor, Tensor | None],
        batch_inputs: Tensor,
        batch_data_samples: SampleList,
    ) -> Iterator[ImageMaps]:
        """Compute the maps of each image in its original frame from the raw maps of the heads.

        For other points of the same images, the raw maps need not be computed again.

        Args:
            raw_maps: what :meth:`forward` returns for ``batch_inputs`` in the mode ``'tensor'``.
            batch_inputs, batch_data_samples: see :meth:`predict_maps`.

        Yields:
            ImageMaps: of each image.
        """
        size = tuple(batch_inputs.shape[-2:])
        logits, offsets, embeddings = raw_maps
        for index, sample in enumerate(batch_data_samples):
            one = slice(index, index + 1)
            points = require_original_points(sample).to(logits.device)
            values = image_values(points.labels)
            weak_map = _padded_weak_map(sample, size=size, device=logits.device)
            scores = self.test_scorer(
                logits[one],
                None if embeddings is None else embeddings[one],
                values,
                ignored=_padding(sample, size=size, device=logits.device)[None],
                weak_map=weak_map,
                align_corners=self.semantic_head.align_corners,
            )
            offset = self.offset_head.predict_by_feat(offsets[one], size)[0]
            own = scores
            if not self.test_scorer.is_plain(weak_map):
                own = value_probs(
                    logits[one], values, size, align_corners=self.semantic_head.align_corners
                )
            embedding = None
            if self.decoder.needs_embedding and embeddings is not None:
                embedding = resize_scores(embeddings[one].float(), size)[0]
                embedding = to_original_frame(embedding, sample)
            yield ImageMaps(
                scores=to_original_frame(scores[0], sample),
                offset=to_original_frame(offset, sample) * offset_factors(sample, offset),
                image=to_original_frame(batch_inputs[index], sample)
                if self.decoder.needs_image
                else None,
                embedding=embedding,
                own_scores=to_original_frame(own[0], sample),
            )

    def decode_maps(
        self, sample: DetDataSample, maps: ImageMaps, *, memo: AssignmentMemo | None = None
    ) -> None:
        """Cut the instances of an image and write them and the dropped points into its sample.

        Args:
            sample: with ``ori_points``.
            maps: of the image and the classes of these points, see :meth:`predict_maps`.
            memo: see :meth:`mmp2seg.codecs.InstanceScorer.assign`; of these maps.
        """
        points = require_original_points(sample).to(maps.scores.device)
        values = image_values(points.labels)
        instances = self.decoder.decode(
            maps.scores,
            maps.offset,
            points.points,
            points.labels,
            values=values,
            image=maps.image,
            embedding=maps.embedding,
            memo=memo,
            given=original_given_masks(sample, maps.scores.device),
        )
        add_instances(sample, instances)
        if maps.own_scores is not None:
            kept = points[instances.kept]
            channels = torch.searchsorted(values, kept.labels + 1)
            sample.pred_instances.click_scores = _at_points(maps.own_scores, kept.points, channels)
        if self.test_cfg['return_maps']:
            sample.pred_sem_seg = PixelData(
                sem_seg=instances.semantic_map[None], confidence=instances.confidence[None]
            )
            sample.pred_offset = PixelData(offset=maps.offset)


def _at_points(maps: Tensor, points_xy: Tensor, channels: Tensor) -> Tensor:
    """Read a channel of ``(V, H, W)`` maps in the pixel of each point; ``(N,)``.

    Points outside the maps read the nearest pixel.
    """
    columns = points_xy[:, 0].floor().long().clamp(0, maps.shape[2] - 1)
    rows = points_xy[:, 1].floor().long().clamp(0, maps.shape[1] - 1)
    return maps[channels, rows, columns]


def _runner_iteration() -> int:
    """Return the runner's iteration; without a runner, a number after the start of all schedules.

    The iteration is correct after a resume too.
    """
    return MessageHub.get_current_instance().runtime_info.get('iter', sys.maxsize)


def _padding(sample: DetDataSample, *, size: tuple[int, int], device: torch.device) -> Tensor:
    """Return ``(H, W)`` bool, the pixels of the batch's frame outside the image."""
    padding = torch.ones(*size, dtype=torch.bool, device=device)
    padding[: sample.img_shape[0], : sample.img_shape[1]] = False
    return padding


def _padding_of_batch(
    samples: SampleList, *, size: tuple[int, int], device: torch.device
) -> Tensor | None:
    """Return ``(B, H, W)`` bool; None if all images fill the batch's frame."""
    if all(tuple(sample.img_shape[:2]) == size for sample in samples):
        return None
    return torch.stack([_padding(sample, size=size, device=device) for sample in samples])


def _padded_weak_map(
    sample: DetDataSample, *, size: tuple[int, int], device: torch.device
) -> Tensor | None:
    """Return the ``(1, H, W)`` uint8 weak map, padded with 255, or None if the sample has none."""
    if 'gt_sem_seg' not in sample:
        return None
    weak_map = sample.gt_sem_seg.sem_seg.to(device)
    amount = (0, size[1] - weak_map.shape[-1], 0, size[0] - weak_map.shape[-2])
    return F.pad(weak_map, amount, value=IGNORE)


def _with_moved_grouping(test_cfg: dict) -> dict:
    """Move ``grouping`` of configs from before version 0.1 to ``decoder``, with a warning."""
    if 'grouping' not in test_cfg:
        return test_cfg
    warn_deprecated(
        'grouping in model.test_cfg is deprecated: write model.test_cfg.decoder=dict(grouping=...)'
    )
    test_cfg = dict(test_cfg)
    grouping = test_cfg.pop('grouping')
    if grouping is not None:
        test_cfg['decoder'] = {'grouping': grouping, **(test_cfg.get('decoder') or {})}
    return test_cfg
