"""Losses: tensors in, a scalar out."""

from mmp2seg.models.losses.affinity_loss import AffinityLoss
from mmp2seg.models.losses.hard_pixel_loss import HardPixelCrossEntropyLoss
from mmp2seg.models.losses.mdm_loss import MDMLoss
from mmp2seg.models.losses.offset_loss import OffsetLoss
from mmp2seg.models.losses.positive_unlabeled_loss import PositiveUnlabeledLoss
from mmp2seg.models.losses.propagation_loss import PropagationLoss

__all__ = [
    'AffinityLoss',
    'HardPixelCrossEntropyLoss',
    'MDMLoss',
    'OffsetLoss',
    'PositiveUnlabeledLoss',
    'PropagationLoss',
]
