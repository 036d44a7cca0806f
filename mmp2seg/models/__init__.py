"""Models: the P2Seg network and its parts."""

from mmp2seg.models.data_preprocessor import PointDataPreprocessor
from mmp2seg.models.detectors import P2Seg
from mmp2seg.models.heads import OffsetHead, SemanticHead
from mmp2seg.models.losses import HardPixelCrossEntropyLoss, OffsetLoss
from mmp2seg.models.necks import PanopticDeepLabDecoder

__all__ = [
    'HardPixelCrossEntropyLoss',
    'OffsetHead',
    'OffsetLoss',
    'P2Seg',
    'PanopticDeepLabDecoder',
    'PointDataPreprocessor',
    'SemanticHead',
]
