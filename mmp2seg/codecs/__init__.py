"""Codecs: points and maps <-> training targets and instances."""

from mmp2seg.codecs.instance_decoder import GROUPINGS, InstanceDecoder
from mmp2seg.codecs.point_pseudo_labeler import PointPseudoLabeler
from mmp2seg.codecs.point_results import DROP_REASONS, ImagePoints, PointInstances, PointTargets

__all__ = [
    'DROP_REASONS',
    'GROUPINGS',
    'ImagePoints',
    'InstanceDecoder',
    'PointInstances',
    'PointPseudoLabeler',
    'PointTargets',
]
