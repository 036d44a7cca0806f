"""Segment images from points alone, without training."""

from mmp2seg.segmenters.baselines import BASELINES, NearestSplit, PointBaseline
from mmp2seg.segmenters.point_segmentation import PointSegmentation, PointSegmentationMethod
from mmp2seg.segmenters.point_segmenter import PointSegmenter

__all__ = [
    'BASELINES',
    'NearestSplit',
    'PointBaseline',
    'PointSegmentation',
    'PointSegmentationMethod',
    'PointSegmenter',
]
