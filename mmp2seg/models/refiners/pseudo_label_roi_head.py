"""RoI head of Mask R-CNN that weights instances and pixels in its box and mask losses."""

import numpy as np
import torch
from mmdet.models.roi_heads import StandardRoIHead
from mmdet.models.roi_heads.bbox_heads import BBoxHead
from mmdet.models.task_modules.samplers import SamplingResult
from mmdet.structures.bbox import bbox2roi
from mmdet.structures.mask import BitmapMasks, mask_target
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor
from torch.nn import functional

from mmp2seg.registry import MODELS

# methods of BBoxHead that the weighting of the box losses relies on
_BOX_METHODS = ('get_targets', 'loss', 'loss_and_target')


@MODELS.register_module()
class PseudoLabelRoIHead(StandardRoIHead):
    """mmdet's RoI head for instances with ``loss_weights`` and ``ignored_pixels``.

    :meth:`mmp2seg.models.refiners.PseudoLabelWeights.attach` provides both. The weight of an
    instance scales its mask loss and its box regression, which learn from the pseudo mask. It does
    not scale the classification, which learns the class of the point. The mask loss skips ignored
    pixels.

    Args:
        *args: forwarded to mmdet's ``StandardRoIHead``.
        **kwargs: forwarded to mmdet's ``StandardRoIHead``.

    Raises:
        ValueError: there is no mask head or it shares the RoI extractor of the box head, the box
            head overrides the targets or losses of ``BBoxHead``, or the mask loss is not mmdet's
            ``CrossEntropyLoss(use_mask=True, reduction='mean')`` without class weights.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        if not self.with_mask or self.share_roi_extractor:
            raise ValueError('expected a mask_head with its own mask_roi_extractor')
        box_type = type(self.bbox_head)
        if any(getattr(box_type, n, None) is not getattr(BBoxHead, n) for n in _BOX_METHODS):
            raise ValueError(
                "expected a bbox_head with the targets and losses of mmdet's BBoxHead, "
                f'got {box_type.__name__}'
            )
        loss = self.mask_head.loss_mask
        if (
            not getattr(loss, 'use_mask', False)
            or loss.class_weight is not None
            or loss.reduction != 'mean'
        ):
            raise ValueError(
                "expected a loss_mask of CrossEntropyLoss(use_mask=True, reduction='mean') without "
                f'class_weight, got {loss}'
            )

    def init_assigner_sampler(self) -> None:
        """Build mmdet's assigner and sampler, which adds the weights of the positives."""
        super().init_assigner_sampler()
        if self.bbox_sampler is not None:
            self.bbox_sampler = _WeightedSampler(self.bbox_sampler)

    def bbox_loss(self, x: tuple[Tensor, ...], sampling_results: list[SamplingResult]) -> dict:
        """Compute mmdet's box losses, with the regression weighted by each proposal's instance."""
        rois = bbox2roi([result.priors for result in sampling_results])
        results = self._bbox_forward(x, rois)
        labels, label_weights, box_targets, box_weights = self.bbox_head.get_targets(
            sampling_results, self.train_cfg
        )
        box_weights = box_weights * torch.cat(
            [
                torch.cat([result.pos_weights, box_weights.new_zeros(len(result.neg_priors))])
                for result in sampling_results
            ]
        ).unsqueeze(1)
        results['loss_bbox'] = self.bbox_head.loss(
            results['cls_score'],
            results['bbox_pred'],
            rois,
            labels,
            label_weights,
            box_targets,
            box_weights,
        )
        return results

    def mask_loss(
        self,
        x: tuple[Tensor, ...],
        sampling_results: list[SamplingResult],
        bbox_feats: Tensor,
        batch_gt_instances: list[InstanceData],
    ) -> dict:
        """Compute mmdet's mask loss, weighted by pixel and by instance."""
        proposals = [result.pos_priors for result in sampling_results]
        results = self._mask_forward(x, bbox2roi(proposals))
        targets = self.mask_head.get_targets(sampling_results, batch_gt_instances, self.train_cfg)
        ignored = ignored_shares(
            proposals,
            [instances.ignored_pixels for instances in batch_gt_instances],
            mask_size=self.train_cfg.mask_size,
        )
        labels = torch.cat([result.pos_gt_labels for result in sampling_results])
        if self.mask_head.class_agnostic:
            labels = torch.zeros_like(labels)
        logits = results['mask_preds']
        loss = weighted_mask_loss(
            logits[torch.arange(len(logits), device=logits.device), labels],
            targets,
            pixel_weights=1 - ignored,
            instance_weights=torch.cat([result.pos_weights for result in sampling_results]),
        )
        results['loss_mask'] = dict(loss_mask=self.mask_head.loss_mask.loss_weight * loss)
        return results


def ignored_shares(
    proposals: list[Tensor], ignored_pixels: list[np.ndarray], *, mask_size: int | tuple[int, int]
) -> Tensor:
    """Compute the ignored share of each cell of the mask targets.

    The pixels are cropped and resized like mmdet's targets, but without its threshold, which would
    remove zones thinner than half a cell.

    Args:
        proposals: ``(P, 4)`` float for each image: x1, y1, x2, y2.
        ignored_pixels: ``(H, W)`` bool for each image.
        mask_size: size of the targets, ``(h, w)`` or one number for both.

    Returns:
        Tensor: ``(P summed over the images, h, w)`` float, 0..1.
    """
    return mask_target(
        proposals,
        [torch.zeros(len(boxes), dtype=torch.long, device=boxes.device) for boxes in proposals],
        [BitmapMasks(pixels[None].astype('uint8'), *pixels.shape) for pixels in ignored_pixels],
        ConfigDict(mask_size=mask_size, soft_mask_target=True),
    )


def weighted_mask_loss(
    logits: Tensor, targets: Tensor, *, pixel_weights: Tensor, instance_weights: Tensor
) -> Tensor:
    """Compute the weighted binary cross-entropy, averaged by the pixel weights.

    Args:
        logits: ``(N, h, w)`` float.
        targets: ``(N, h, w)`` float, 0..1.
        pixel_weights: ``(N, h, w)`` float, 0..1.
        instance_weights: ``(N,)`` float.

    Returns:
        Tensor: scalar; 0 with a graph if there is no instance or all pixel weights are 0.
    """
    losses = functional.binary_cross_entropy_with_logits(logits, targets, reduction='none')
    weighted = losses * pixel_weights * instance_weights[:, None, None]
    return weighted.sum() / pixel_weights.sum().clamp(min=1)


class _WeightedSampler:
    """Sampler of mmdet that adds ``pos_weights`` to its results: the weight of each positive."""

    def __init__(self, sampler) -> None:
        self.sampler = sampler

    def sample(
        self, assign_result, pred_instances, gt_instances, *, feats: list[Tensor]
    ) -> SamplingResult:
        result = self.sampler.sample(assign_result, pred_instances, gt_instances, feats=feats)
        result.pos_weights = gt_instances.loss_weights[result.pos_assigned_gt_inds]
        return result
