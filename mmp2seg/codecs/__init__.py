"""Codecs: points and maps <-> training targets and instances."""

from mmp2seg.codecs.point_pseudo_labeler import PointPseudoLabeler
from mmp2seg.codecs.point_results import DROP_REASONS, PointInstances, PointTargets

__all__ = ['DROP_REASONS', 'PointInstances', 'PointPseudoLabeler', 'PointTargets']
