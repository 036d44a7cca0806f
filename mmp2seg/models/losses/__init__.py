"""Losses: tensors in, a scalar out."""

from mmp2seg.models.losses.hard_pixel_loss import HardPixelCrossEntropyLoss
from mmp2seg.models.losses.offset_loss import OffsetLoss

__all__ = ['HardPixelCrossEntropyLoss', 'OffsetLoss']
