"""Segment images from points alone, without training."""

from mmp2seg.segmenters.baselines import BASELINES, NearestSplit, PointBaseline
from mmp2seg.segmenters.point_segmentation import (
    MaskCandidate,
    PointCandidates,
    PointSegmentation,
    PointSegmentationMethod,
)
from mmp2seg.segmenters.point_segmenter import PointSegmenter
from mmp2seg.segmenters.sam_point_segmenter import SamPointSegmenter

__all__ = [
    'BASELINES',
    'MaskCandidate',
    'NearestSplit',
    'PointBaseline',
    'PointCandidates',
    'PointSegmentation',
    'PointSegmentationMethod',
    'PointSegmenter',
    'SamPointSegmenter',
]
