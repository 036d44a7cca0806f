"""Models: the P2Seg network and its parts."""

from mmp2seg.models.data_preprocessor import PointDataPreprocessor
from mmp2seg.models.detectors import P2Seg
from mmp2seg.models.distillation import DistilledTargets, MutualDistiller
from mmp2seg.models.heads import AffinityHead, OffsetHead, SemanticHead
from mmp2seg.models.losses import AffinityLoss, HardPixelCrossEntropyLoss, MDMLoss, OffsetLoss
from mmp2seg.models.necks import PanopticDeepLabDecoder

__all__ = [
    'AffinityHead',
    'AffinityLoss',
    'DistilledTargets',
    'HardPixelCrossEntropyLoss',
    'MDMLoss',
    'MutualDistiller',
    'OffsetHead',
    'OffsetLoss',
    'P2Seg',
    'PanopticDeepLabDecoder',
    'PointDataPreprocessor',
    'SemanticHead',
]
