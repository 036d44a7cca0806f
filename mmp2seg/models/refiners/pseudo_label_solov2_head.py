"""Mask head of SOLOv2 whose mask loss weights instances and pixels."""

import mmcv
import numpy as np
import torch
from mmdet.models.dense_heads import SOLOV2Head
from mmdet.models.losses import DiceLoss
from mmengine.structures import InstanceData
from torch import Tensor, nn

from mmp2seg.registry import MODELS


@MODELS.register_module()
class PseudoLabelSOLOV2Head(SOLOV2Head):
    """mmdet's SOLOv2 head for instances with ``loss_weights`` and ``ignored_pixels``.

    These come from :meth:`mmp2seg.models.refiners.PseudoLabelWeights.attach`. An instance's weight
    scales its mask loss, but not its classification, whose class is the point's. Ignored pixels do
    not count in the mask loss. Arguments as of mmdet's ``SOLOV2Head``.

    Raises:
        ValueError: a mask loss other than mmdet's ``DiceLoss`` on logits.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.loss_mask = WeightedDiceLoss(self.loss_mask)

    def _get_targets_single(
        self, gt_instances: InstanceData, featmap_sizes: tuple[int, int] | None = None
    ) -> tuple[list, list, list, list]:
        """mmdet's targets of one image, but each mask target has its weights as second channel.

        mmdet does not tell which instance a target belongs to, so it is asked for one instance
        after the other.

        Returns:
            tuple: of each level mask targets ``(P, 2, h, w)`` float32, labels ``(G, G)``,
            positives ``(G * G,)`` bool, and the list of the ``P`` indices of grid cells.
        """
        counted = self._counted_pixels(gt_instances, featmap_sizes)
        single = super()._get_targets_single
        targets = []  # of each instance, of each level: masks, labels, positives, indices
        for index, weight in enumerate(gt_instances.loss_weights):
            masks, *others = single(_instance(gt_instances, index), featmap_sizes=featmap_sizes)
            weights = weight * counted
            masks = [torch.stack([m, weights.expand_as(m)], dim=1) for m in masks]
            targets.append(list(zip(masks, *others, strict=True)))
        if not targets:
            masks, *others = single(gt_instances, featmap_sizes=featmap_sizes)
            masks = [m[:, None].repeat(1, 2, 1, 1).float() for m in masks]
            targets.append(list(zip(masks, *others, strict=True)))
        levels = [self._join(level) for level in zip(*targets, strict=True)]
        return tuple(map(list, zip(*levels, strict=True)))

    def _join(self, targets: tuple[tuple, ...]) -> tuple:
        """The targets of all instances on one level; in a cell of two the later one's label."""
        masks, labels, positives, indices = zip(*targets, strict=True)
        joined = labels[0]
        for later in labels[1:]:
            joined = torch.where(later == self.num_classes, joined, later)
        return (
            torch.cat(masks),
            joined,
            torch.stack(positives).any(dim=0),
            [index for one in indices for index in one],
        )

    def _counted_pixels(self, gt_instances: InstanceData, featmap_sizes: tuple[int, int]) -> Tensor:
        """``(h, w)`` float32: 0 where pixels are ignored, 1 elsewhere; scaled as mmdet's masks."""
        ignored = gt_instances.ignored_pixels.astype(np.uint8)
        ignored = torch.from_numpy(mmcv.imrescale(ignored, scale=1.0 / self.mask_stride))
        counted = torch.ones(featmap_sizes, device=gt_instances.labels.device)
        rows, columns = map(min, counted.shape, ignored.shape)
        counted[:rows, :columns] -= ignored[:rows, :columns].to(counted)
        return counted


class WeightedDiceLoss(nn.Module):
    """mmdet's Dice loss for targets that have weights as their second channel.

    Args:
        loss: the loss of each instance.

    Raises:
        ValueError: ``loss`` is no DiceLoss on logits.
    """

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        if not (isinstance(loss, DiceLoss) and loss.activate):
            raise ValueError(
                f'expected a loss_mask of DiceLoss(activate=True), got {type(loss).__name__}'
            )
        self.loss = loss

    def forward(
        self, logits: Tensor, targets: Tensor, *, reduction_override: str = 'none'
    ) -> Tensor:
        """Dice loss of each instance over its pixels that count, times its weight.

        Args:
            logits: ``(N, h, w)`` float.
            targets: ``(N, 2, h, w)`` float, the mask in 0..1 and the pixels' weights: the
                instance's, or 0 where the pixel is ignored.
            reduction_override: must be 'none'.

        Returns:
            Tensor: ``(N,)``; 0 for an instance of which no pixel counts.
        """
        assert reduction_override == 'none'
        masks, weights = targets.unbind(dim=1)
        ignored = weights == 0
        losses = self.loss(
            logits.masked_fill(ignored, float('-inf')),  # probability 0, no gradient
            masks.masked_fill(ignored, 0),
            reduction_override='none',
        )
        return losses * weights.flatten(1).amax(dim=1)


def _instance(gt_instances: InstanceData, index: int) -> InstanceData:
    return InstanceData(
        bboxes=gt_instances.bboxes[index : index + 1],
        labels=gt_instances.labels[index : index + 1],
        masks=gt_instances.masks[index : index + 1],
    )
