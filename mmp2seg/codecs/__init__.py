"""Codecs: encode points and regions as training targets, decode maps to instances."""

from mmp2seg.codecs.affinities import (
    Affinity,
    GuidedAffinity,
    PairwiseAffinity,
    RandomWalkerAffinity,
)
from mmp2seg.codecs.given_masks import GivenMasks
from mmp2seg.codecs.instance_decoder import GROUPINGS, InstanceDecoder
from mmp2seg.codecs.instance_scorer import AssignmentMemo, InstanceAssignment, InstanceScorer
from mmp2seg.codecs.point_pseudo_labeler import PointPseudoLabeler
from mmp2seg.codecs.point_results import (
    DROP_REASONS,
    ImagePoints,
    PointBatch,
    PointInstances,
    PointTargets,
    pad_points,
)

__all__ = [
    'DROP_REASONS',
    'GROUPINGS',
    'Affinity',
    'AssignmentMemo',
    'GivenMasks',
    'GuidedAffinity',
    'ImagePoints',
    'InstanceAssignment',
    'InstanceDecoder',
    'InstanceScorer',
    'PairwiseAffinity',
    'PointBatch',
    'PointInstances',
    'PointPseudoLabeler',
    'PointTargets',
    'RandomWalkerAffinity',
    'pad_points',
]
