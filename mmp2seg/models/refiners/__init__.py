"""Stage 2: mmdet's segmentors, trained on labels that they know to be pseudo labels."""

from mmp2seg.models.refiners.mask_rcnn_refiner import MaskRCNNRefiner
from mmp2seg.models.refiners.pseudo_label_roi_head import PseudoLabelRoIHead
from mmp2seg.models.refiners.pseudo_label_solov2_head import PseudoLabelSOLOV2Head
from mmp2seg.models.refiners.pseudo_label_weights import PseudoLabelWeights
from mmp2seg.models.refiners.solov2_refiner import SOLOv2Refiner

__all__ = [
    'MaskRCNNRefiner',
    'PseudoLabelRoIHead',
    'PseudoLabelSOLOV2Head',
    'PseudoLabelWeights',
    'SOLOv2Refiner',
]
