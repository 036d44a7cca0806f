"""Models: the P2Seg network and its parts, and the segmentors of stage 2."""

from mmp2seg.models.backbones import EfficientNetLite
from mmp2seg.models.data_preprocessor import PointDataPreprocessor
from mmp2seg.models.detectors import P2Seg
from mmp2seg.models.distillation import (
    DistilledTargets,
    MutualDistiller,
    NetworkMaps,
    SemanticScorer,
)
from mmp2seg.models.heads import AffinityHead, OffsetHead, SemanticHead
from mmp2seg.models.losses import (
    AffinityLoss,
    HardPixelCrossEntropyLoss,
    MDMLoss,
    OffsetLoss,
    PropagationLoss,
)
from mmp2seg.models.mixing import (
    AffinityAuxHead,
    AffinityPropagation,
    OffsetAuxHead,
    PropagatedHead,
)
from mmp2seg.models.necks import PanopticDeepLabDecoder
from mmp2seg.models.refiners import (
    MaskRCNNRefiner,
    PseudoLabelRoIHead,
    PseudoLabelSOLOV2Head,
    SOLOv2Refiner,
)
from mmp2seg.models.test_time_augs import P2SegTTA

__all__ = [
    'AffinityAuxHead',
    'AffinityHead',
    'AffinityLoss',
    'AffinityPropagation',
    'DistilledTargets',
    'EfficientNetLite',
    'HardPixelCrossEntropyLoss',
    'MDMLoss',
    'MaskRCNNRefiner',
    'MutualDistiller',
    'NetworkMaps',
    'OffsetAuxHead',
    'OffsetHead',
    'OffsetLoss',
    'P2Seg',
    'P2SegTTA',
    'PanopticDeepLabDecoder',
    'PointDataPreprocessor',
    'PropagatedHead',
    'PropagationLoss',
    'PseudoLabelRoIHead',
    'PseudoLabelSOLOV2Head',
    'SOLOv2Refiner',
    'SemanticHead',
    'SemanticScorer',
]
