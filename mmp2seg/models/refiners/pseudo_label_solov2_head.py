"""Mask head of SOLOv2 that weights instances and pixels in its mask loss."""

import copy

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

    :meth:`mmp2seg.models.refiners.PseudoLabelWeights.attach` provides both. The weight of an
    instance scales its mask loss. It does not scale the classification, which learns the class of
    the point. The mask loss skips ignored pixels.

    Args:
        *args: forwarded to mmdet's ``SOLOV2Head``.
        **kwargs: forwarded to mmdet's ``SOLOV2Head``.

    Raises:
        ValueError: the mask loss is not mmdet's ``DiceLoss`` on logits.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.loss_mask = WeightedDiceLoss(self.loss_mask)

    def _get_targets_single(
        self, gt_instances: InstanceData, featmap_sizes: tuple[int, int] | None = None
    ) -> tuple[list, list, list, list]:
        """Compute mmdet's targets of one image, with two more channels in each mask target.

        The second channel is the share of each pixel that is not ignored, the third is the weight
        of the instance. mmdet does not return which instance a target belongs to, so this method
        computes the targets of one instance at a time. They take 12 times the memory of mmdet's
        targets: 0.8 MB per positive cell for an image of 800 x 1344.

        Returns:
            tuple: four lists with an entry per level: mask targets ``(P, 3, h, w)`` float32, labels
            ``(G, G)``, positives ``(G * G,)`` bool, and the ``P`` indices of grid cells.
        """
        counted = self._counted_pixels(gt_instances, featmap_sizes)
        single = super()._get_targets_single
        targets = []  # per instance, per level: masks, labels, positives, indices
        for index, weight in enumerate(gt_instances.loss_weights):
            masks, *others = single(_instance(gt_instances, index), featmap_sizes=featmap_sizes)
            channels = [counted, weight.expand_as(counted)]
            masks = [
                torch.stack([m, *(channel.expand_as(m) for channel in channels)], dim=1)
                for m in masks
            ]
            targets.append(list(zip(masks, *others, strict=True)))
        if not targets:
            masks, *others = single(gt_instances, featmap_sizes=featmap_sizes)
            masks = [m[:, None].repeat(1, 3, 1, 1).float() for m in masks]
            targets.append(list(zip(masks, *others, strict=True)))
        levels = [self._join(level) for level in zip(*targets, strict=True)]
        return tuple(map(list, zip(*levels, strict=True)))

    def _join(self, targets: tuple[tuple, ...]) -> tuple:
        """Join one level's targets of all instances; in a shared cell, the later label wins."""
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
        """Compute the share of each target pixel that is not ignored, ``(h, w)`` float32, 0..1."""
        ignored = gt_instances.ignored_pixels.astype(np.float32)
        # resize like mmdet's masks; area interpolation keeps zones thinner than half a pixel
        ignored = mmcv.imrescale(ignored, scale=1.0 / self.mask_stride, interpolation='area')
        ignored = torch.from_numpy(ignored)
        counted = torch.ones(featmap_sizes, device=gt_instances.labels.device)
        rows, columns = map(min, counted.shape, ignored.shape)
        counted[:rows, :columns] -= ignored[:rows, :columns].to(counted)
        return counted


class WeightedDiceLoss(nn.Module):
    """mmdet's Dice loss with weights of pixels and instances.

    Args:
        loss: mmdet's ``DiceLoss``.

    Raises:
        ValueError: ``loss`` is not a ``DiceLoss`` on logits, or it is the naive variant without
            squares in the denominator.
    """

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        if not (
            isinstance(loss, DiceLoss)
            and loss.activate
            and loss.use_sigmoid
            and not loss.naive_dice
        ):
            raise ValueError(
                'expected a loss_mask of DiceLoss(use_sigmoid=True, activate=True, '
                f'naive_dice=False), got {type(loss).__name__}'
            )
        self.loss = copy.copy(loss)
        self.loss.activate = False  # forward passes probabilities instead of logits

    def forward(
        self, logits: Tensor, targets: Tensor, *, reduction_override: str = 'none'
    ) -> Tensor:
        """Compute the Dice loss of each instance, weighted by pixel and by instance.

        Args:
            logits: ``(N, h, w)`` float.
            targets: ``(N, 3, h, w)`` float: the mask and the share of each pixel that is not
                ignored, both in 0..1, and the weight of the instance, the same in all pixels.
            reduction_override: must be 'none'.

        Returns:
            Tensor: ``(N,)``; 0 for an instance whose pixels are all ignored.
        """
        assert reduction_override == 'none'
        masks, counted, weights = targets.unbind(dim=1)
        root = counted.sqrt()  # every term of the loss is a product of two inputs
        losses = self.loss(logits.sigmoid() * root, masks * root, reduction_override='none')
        return losses * weights[:, 0, 0] * counted.flatten(1).any(dim=1)


def _instance(gt_instances: InstanceData, index: int) -> InstanceData:
    return InstanceData(
        bboxes=gt_instances.bboxes[index : index + 1],
        labels=gt_instances.labels[index : index + 1],
        masks=gt_instances.masks[index : index + 1],
    )
