"""P2Seg: the stage-1 network that turns points into instance masks."""

import torch
import torch.nn.functional as F
from mmdet.models.detectors import BaseDetector
from mmdet.structures import DetDataSample, OptSampleList, SampleList
from mmengine.logging import MessageHub
from mmengine.structures import InstanceData, PixelData
from torch import Tensor

from mmp2seg.codecs import PointInstances
from mmp2seg.ops.masks import masks_to_boxes_xyxy
from mmp2seg.registry import MODELS, TASK_UTILS


@MODELS.register_module()
class P2Seg(BaseDetector):
    """Backbone (and neck), a semantic and an offset head, and the point pseudo-labeler.

    Training (S2I, semantic to instance): the semantic head learns the weak map, the offset head
    the offsets of the initial targets and of targets refined by its own current offsets.
    Inference: an instance mask for every point of the image, 'points first'. The points are input,
    in training and in inference alike.

    Args:
        backbone, neck: configs; the heads see the neck's features, or the backbone's.
        semantic_head: config of a :class:`mmp2seg.models.SemanticHead`.
        offset_head: config of an :class:`mmp2seg.models.OffsetHead`.
        labeler: config of a :class:`mmp2seg.codecs.PointPseudoLabeler`, the pipeline's own.
        train_cfg: ``refine_begin``, the iteration from which refined targets take part (default 1
            as in the released code; None = never). Counted by the runner, so it survives resume.
        test_cfg: ``return_maps``, add ``pred_sem_seg`` and ``pred_offset`` to the results (default
            False); ``grouping``, overrides the labeler's at inference.
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
        self.labeler = TASK_UTILS.build(labeler)
        self.train_cfg = {'refine_begin': 1, **(train_cfg or {})}
        self.test_cfg = {'return_maps': False, 'grouping': None, **(test_cfg or {})}
        if self.test_cfg['grouping'] is not None:
            labeler = {**labeler, 'grouping': self.test_cfg['grouping']}
        self.test_labeler = TASK_UTILS.build(labeler)
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.to(memory_format=self.memory_format)

    def init_weights(self) -> None:
        """Initialise all parts by their ``init_cfg``.

        Raises:
            RuntimeError: if pretrained weights cannot be fetched or read; training never starts
                from random weights that were not asked for.
        """
        try:
            super().init_weights()
        except OSError as error:  # no network (URLError), no such file
            raise RuntimeError(
                f'init_cfg names pretrained weights that cannot be loaded ({error}). Fetch them '
                'where there is a network and name the file in model.backbone.init_cfg.checkpoint, '
                'or start from random weights with model.backbone.init_cfg=None'
            ) from error

    def extract_feat(self, batch_inputs: Tensor) -> tuple[Tensor, ...]:
        """``(B, 3, H, W)`` images -> the feature maps that the heads see."""
        features = self.backbone(batch_inputs.contiguous(memory_format=self.memory_format))
        return tuple(features if self.neck is None else self.neck(features))

    def _forward(
        self, batch_inputs: Tensor, batch_data_samples: OptSampleList = None
    ) -> tuple[Tensor, Tensor]:
        """Raw maps: ``(B, K + 1, h, w)`` semantic logits and ``(B, 2, h, w)`` offsets."""
        features = self.extract_feat(batch_inputs)
        return self.semantic_head(features), self.offset_head(features)

    def loss(self, batch_inputs: Tensor, batch_data_samples: SampleList) -> dict[str, Tensor]:
        """Losses of a batch: ``loss_semantic`` and ``loss_offset``.

        Args:
            batch_inputs: ``(B, 3, H, W)`` normalised images.
            batch_data_samples: with ``gt_sem_seg`` and ``gt_point_targets``, padded to H x W.
        """
        logits, offset = self._forward(batch_inputs)
        offset = self.offset_head.predict_by_feat(offset, tuple(batch_inputs.shape[-2:]))
        semantic_map = torch.cat([sample.gt_sem_seg.sem_seg for sample in batch_data_samples])
        targets = [self._initial_targets(batch_data_samples)]
        if self._refines():
            targets.append(self._refined_targets(offset, batch_data_samples))
        losses = self.semantic_head.loss_by_feat(logits, semantic_map.long())
        losses.update(self.offset_head.loss_by_feat(offset, targets))
        return losses

    def predict(self, batch_inputs: Tensor, batch_data_samples: SampleList) -> SampleList:
        """Add ``pred_instances`` and ``dropped_points`` to every sample.

        Args:
            batch_inputs: ``(B, 3, H, W)`` normalised images, padded at the bottom and the right.
            batch_data_samples: with ``gt_instances`` (points, labels, point_ids) in the input frame
                and the metainfo ``img_shape``, ``ori_shape``.

        Returns:
            list[DetDataSample]: the same samples, see :mod:`mmp2seg.structures.fields`.
        """
        size = tuple(batch_inputs.shape[-2:])
        logits, offset = self._forward(batch_inputs)
        probs = self.semantic_head.predict_by_feat(logits, size)
        offset = self.offset_head.predict_by_feat(offset, size)
        for sample, image_probs, image_offset in zip(batch_data_samples, probs, offset):
            self._predict_image(sample, image_probs, image_offset)
        return batch_data_samples

    def _refines(self) -> bool:
        """Whether the runner has come to ``refine_begin``; without a runner it has."""
        begin = self.train_cfg['refine_begin']
        if begin is None:
            return False
        return MessageHub.get_current_instance().runtime_info.get('iter', begin) >= begin

    @staticmethod
    def _initial_targets(samples: SampleList) -> tuple[Tensor, Tensor]:
        """Offsets ``(B, 2, H, W)`` and weights ``(B, H, W)`` that the pipeline encoded."""
        targets = [sample.gt_point_targets for sample in samples]
        weight = torch.cat([target.offset_weight for target in targets])
        return torch.stack([target.offset for target in targets]), weight

    def _refined_targets(self, offset: Tensor, samples: SampleList) -> tuple[Tensor, Tensor]:
        """Offsets ``(B, 2, H, W)`` and weights ``(B, H, W)`` refined by the prediction (S2I)."""
        refined = [
            self.labeler.refine(
                image_offset,
                sample.gt_instances.points,
                region_map=sample.gt_point_targets.region_map[0],
                point_regions=sample.gt_instances.point_regions,
            )
            for image_offset, sample in zip(offset, samples)
        ]
        weight = torch.stack([target.weight for target in refined])
        return torch.stack([target.offset for target in refined]), weight

    def _predict_image(self, sample: DetDataSample, probs: Tensor, offset: Tensor) -> None:
        """Decode one image in the original frame and write the results into its sample."""
        scale = _scale_to_original(sample)  # (x, y)
        probs = _to_original_frame(probs, sample)
        offset = _to_original_frame(offset, sample) * offset.new_tensor(scale)[:, None, None]
        instances = sample.gt_instances
        points = instances.points.to(offset.device) * offset.new_tensor(scale)
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


def _add_maps(sample: DetDataSample, decoded: PointInstances, offset: Tensor) -> None:
    sample.pred_sem_seg = PixelData(sem_seg=decoded.semantic_map[None])
    sample.pred_offset = PixelData(offset=offset)


def _scale_to_original(sample: DetDataSample) -> tuple[float, float]:
    """``(x, y)`` factors from the input frame to the original image's."""
    (height, width), (ori_height, ori_width) = sample.img_shape[:2], sample.ori_shape[:2]
    return ori_width / width, ori_height / height


def _to_original_frame(values: Tensor, sample: DetDataSample) -> Tensor:
    """``(C, H, W)`` of the padded input -> ``(C, H', W')`` of the original image."""
    height, width = sample.img_shape[:2]
    values = values[:, :height, :width]
    size = tuple(sample.ori_shape[:2])
    if size == (height, width):
        return values
    return F.interpolate(values[None], size=size, mode='bilinear', align_corners=False)[0]
