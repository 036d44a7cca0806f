"""Stage 2: mmdet's segmentors with losses that take errors of the pseudo labels into account."""

from mmp2seg.models.refiners.detectors import MaskRCNNRefiner, SOLOv2Refiner
from mmp2seg.models.refiners.pseudo_label_roi_head import PseudoLabelRoIHead
from mmp2seg.models.refiners.pseudo_label_solov2_head import PseudoLabelSOLOV2Head
from mmp2seg.models.refiners.pseudo_label_weights import PseudoLabelWeights

__all__ = [
    'MaskRCNNRefiner',
    'PseudoLabelRoIHead',
    'PseudoLabelSOLOV2Head',
    'PseudoLabelWeights',
    'SOLOv2Refiner',
]
