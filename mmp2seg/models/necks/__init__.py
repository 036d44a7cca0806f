"""Necks and decoders."""

from mmp2seg.models.necks.level_sum_neck import LevelSumNeck
from mmp2seg.models.necks.panoptic_deeplab_decoder import PanopticDeepLabDecoder

__all__ = ['LevelSumNeck', 'PanopticDeepLabDecoder']
