"""P2Seg: the stage-1 network that turns points into instance masks."""

import sys
from collections.abc import Iterator

import torch
from mmdet.models.detectors import BaseDetector
from mmdet.structures import DetDataSample, OptSampleList, SampleList
from mmengine.logging import MessageHub
from mmengine.structures import InstanceData, PixelData
from torch import Tensor

from mmp2seg.codecs import PointInstances, PointTargets
from mmp2seg.models.detectors.original_frame import (
    offset_factors,
    points_to_original_frame,
    to_original_frame,
)
from mmp2seg.models.pretrained import require_pretrained
from mmp2seg.ops.components import IGNORE
from mmp2seg.ops.masks import masks_to_boxes_xyxy
from mmp2seg.registry import MODELS, TASK_UTILS

TEST_DEFAULTS = dict(
    return_maps=False, grouping=None, rounds=0, use_weak_map=False, network_weight=0.0
)


@MODELS.register_module()
class P2Seg(BaseDetector):
    """Backbone (and neck), semantic, offset and affinity head, distiller and point pseudo-labeler.

    Training by mutual distillation: the semantic head learns the weak map, the offset head the
    offsets and the affinity head the pairs of the initial instances and of instances refined by the
    predictions (S2I by offsets, I2S by affinities). Inference: an instance mask for every point of
    the image, 'points first'. The points are input, in training and in inference alike.

    Args:
        backbone, neck: configs; the heads see the neck's features, or the backbone's.
        semantic_head: config of a :class:`mmp2seg.models.SemanticHead`.
        offset_head: config of an :class:`mmp2seg.models.OffsetHead`.
        labeler: config of a :class:`mmp2seg.codecs.PointPseudoLabeler`, the pipeline's own.
        affinity_head: config of an :class:`mmp2seg.models.AffinityHead`; None = S2I alone.
        mdm_loss: config of the :class:`mmp2seg.models.MDMLoss`.
        distiller: config of the :class:`mmp2seg.models.MutualDistiller`, which gets this labeler.
        train_cfg: of :class:`mmdet.models.BaseDetector`; nothing is read from it.
        test_cfg: ``return_maps``, add ``pred_sem_seg`` and ``pred_offset`` to the results (default
            False); ``grouping``, overrides the labeler's at inference; ``rounds``, how often the
            affinity propagates semantic scores before decoding (default 0): the network's, or with
            ``use_weak_map`` (default False) the weak map of those samples that have one;
            ``network_weight``, share of the network's own probabilities in the result (default 0).
        channels_last: keep the convolutions' memory channels-last: the same numbers, a third faster
            on a CPU (and on a GPU with mixed precision).
        data_preprocessor, init_cfg: of :class:`mmdet.models.BaseDetector`.
    """

    def __init__(
        self,
        *,
        backbone: dict,
        semantic_head: dict,
        offset_head: dict,
        labeler: dict,
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
        if affinity_head is None and (test_cfg or {}).get('rounds', 0) > 0:
            raise ValueError('test_cfg.rounds propagates by affinity: expected an affinity_head')
        self.mdm_loss = MODELS.build(mdm_loss or dict(type='mmp2seg.MDMLoss'))
        self.labeler = TASK_UTILS.build(labeler)
        distiller = distiller or dict(type='mmp2seg.MutualDistiller')
        self.distiller = MODELS.build({**distiller, 'labeler': self.labeler})
        self.train_cfg = train_cfg
        self.test_cfg = {**TEST_DEFAULTS, **(test_cfg or {})}
        if self.test_cfg['grouping'] is not None:
            labeler = {**labeler, 'grouping': self.test_cfg['grouping']}
        self.test_labeler = TASK_UTILS.build(labeler)
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.to(memory_format=self.memory_format)

    def init_weights(self) -> None:
        """Initialise all parts by their ``init_cfg``.

        Raises:
            RuntimeError: if pretrained weights cannot be fetched or read, or do not fit; training
                never starts from random weights that were not asked for.
        """
        require_pretrained(self)
        super().init_weights()

    def extract_feat(self, batch_inputs: Tensor) -> tuple[Tensor, ...]:
        """``(B, 3, H, W)`` images -> the feature maps that the heads see."""
        features = self.backbone(batch_inputs.contiguous(memory_format=self.memory_format))
        return tuple(features if self.neck is None else self.neck(features))

    def _forward(
        self, batch_inputs: Tensor, batch_data_samples: OptSampleList = None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Raw maps: ``(B, K + 1, h, w)`` semantic logits, ``(B, 2, h, w)`` offsets and, with an
        affinity head, the ``(B, D, h, w)`` embedding.
        """
        features = self.extract_feat(batch_inputs)
        embedding = None if self.affinity_head is None else self.affinity_head(features)
        return self.semantic_head(features), self.offset_head(features), embedding

    def loss(self, batch_inputs: Tensor, batch_data_samples: SampleList) -> dict[str, Tensor]:
        """Losses of a batch: ``loss_semantic``, ``loss_offset`` and ``loss_affinity``.

        Args:
            batch_inputs: ``(B, 3, H, W)`` normalised images.
            batch_data_samples: with ``gt_sem_seg`` and ``gt_point_targets``, padded to H x W.
        """
        size = tuple(batch_inputs.shape[-2:])
        logits, offset, embedding = self._forward(batch_inputs)
        offset = self.offset_head.predict_by_feat(offset, size)
        targets = self.distiller.distill(
            semantic_logits=logits,
            offset=offset,
            embedding=embedding,
            semantic_map=torch.cat([sample.gt_sem_seg.sem_seg for sample in batch_data_samples]),
            initial=[_initial_targets(sample) for sample in batch_data_samples],
            points_xy=[sample.gt_instances.points for sample in batch_data_samples],
            labels=[sample.gt_instances.labels for sample in batch_data_samples],
            iteration=_runner_iteration(),
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
            batch_data_samples: with ``gt_instances`` (points, labels, point_ids) in the input frame
                and the metainfo ``img_shape``, ``ori_shape``.

        Returns:
            list[DetDataSample]: the same samples, see :mod:`mmp2seg.structures.fields`.
        """
        maps = self.predict_maps(batch_inputs, batch_data_samples)
        for sample, (probs, offset) in zip(batch_data_samples, maps):
            self.decode_maps(sample, probs, offset)
        return batch_data_samples

    def predict_maps(
        self, batch_inputs: Tensor, batch_data_samples: SampleList
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Maps of each image in its original frame (H', W'), resizing and flipping undone.

        One image at a time is brought there: a batch of maps at full size is large.

        Args:
            batch_inputs, batch_data_samples: as of :meth:`predict`; of the samples the weak maps,
                if ``test_cfg`` uses them, and the metainfo ``flip``, ``flip_direction`` are read.

        Yields:
            tuple: per image ``(K + 1, H', W')`` float32 probabilities and ``(2, H', W')`` float32
            offsets ``(dx, dy)`` in pixels of the original image.
        """
        size = tuple(batch_inputs.shape[-2:])
        logits, offset, embedding = self._forward(batch_inputs)
        probs = self._semantic_probs(logits, embedding, batch_data_samples, size)
        offset = self.offset_head.predict_by_feat(offset, size)
        for image_probs, image_offset, sample in zip(probs, offset, batch_data_samples):
            yield (
                to_original_frame(image_probs, sample),
                to_original_frame(image_offset, sample) * offset_factors(sample, image_offset),
            )

    def _semantic_probs(
        self,
        logits: Tensor,
        embedding: Tensor | None,
        samples: SampleList,
        size: tuple[int, int],
    ) -> Tensor:
        """Probabilities ``(B, K + 1, H, W)``, with affinity and weak map as ``test_cfg`` says."""
        rounds, weak_map = self.test_cfg['rounds'], None
        if self.test_cfg['use_weak_map']:
            weak_map = _padded_weak_maps(samples, size=size).to(logits.device)
        elif rounds == 0:
            return self.semantic_head.predict_by_feat(logits, size)
        ignored = _padding(samples, size=size, device=logits.device)
        if weak_map is not None:
            ignored |= weak_map == IGNORE
        return self.distiller.semantic_scores(
            logits,
            embedding,
            rounds=rounds,
            network_weight=self.test_cfg['network_weight'],
            ignored=ignored,
            semantic_map=weak_map,
        )

    def decode_maps(self, sample: DetDataSample, probs: Tensor, offset: Tensor) -> None:
        """Cut an image's instances and write them, and its dropped points, into its sample.

        Args:
            sample: with ``gt_instances`` and metainfo as of :meth:`predict`.
            probs, offset: the image's, as of :meth:`predict_maps`.
        """
        instances = sample.gt_instances
        points = points_to_original_frame(instances.points.to(offset.device), sample)
        labels = instances.labels.to(offset.device)
        decoded = self.test_labeler.decode(probs, offset, points, labels)
        point_ids = instances.point_ids.to(offset.device)
        sample.pred_instances = InstanceData(
            masks=decoded.masks,
            bboxes=masks_to_boxes_xyxy(decoded.masks),
            scores=decoded.scores,
            labels=labels[decoded.kept],
            points=points[decoded.kept],
            point_ids=point_ids[decoded.kept],
        )
        sample.dropped_points = InstanceData(
            points=points[decoded.dropped],
            labels=labels[decoded.dropped],
            point_ids=point_ids[decoded.dropped],
            reasons=decoded.reasons,
        )
        if self.test_cfg['return_maps']:
            _add_maps(sample, decoded, offset)


def _runner_iteration() -> int:
    """Iteration of the runner, also after a resume; without a runner every schedule has begun."""
    return MessageHub.get_current_instance().runtime_info.get('iter', sys.maxsize)


def _initial_targets(sample: DetDataSample) -> PointTargets:
    """What the pipeline encoded for one image."""
    targets = sample.gt_point_targets
    return PointTargets(
        instance_map=targets.instance_map[0],
        offset=targets.offset,
        weight=targets.offset_weight[0],
        region_map=targets.region_map[0],
        point_regions=sample.gt_instances.point_regions,
    )


def _padding(samples: SampleList, *, size: tuple[int, int], device: torch.device) -> Tensor:
    """``(B, H, W)`` bool: what of a batch's frame is not in the image."""
    padding = torch.ones(len(samples), *size, dtype=torch.bool, device=device)
    for image, sample in zip(padding, samples):
        image[: sample.img_shape[0], : sample.img_shape[1]] = False
    return padding


def _padded_weak_maps(samples: SampleList, *, size: tuple[int, int]) -> Tensor:
    """``(B, H, W)`` uint8 weak maps; 255 in the padding and for a sample without one."""
    maps = torch.full((len(samples), *size), IGNORE, dtype=torch.uint8)
    for padded, sample in zip(maps, samples):
        if 'gt_sem_seg' in sample:
            weak_map = sample.gt_sem_seg.sem_seg[0]
            padded[: weak_map.shape[0], : weak_map.shape[1]] = weak_map
    return maps


def _add_maps(sample: DetDataSample, decoded: PointInstances, offset: Tensor) -> None:
    sample.pred_sem_seg = PixelData(sem_seg=decoded.semantic_map[None])
    sample.pred_offset = PixelData(offset=offset)
