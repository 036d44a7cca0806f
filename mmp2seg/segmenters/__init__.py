"""Segment images from points alone, without training."""

from mmp2seg.segmenters.point_segmentation import PointSegmentation, PointSegmentationMethod
from mmp2seg.segmenters.point_segmenter import PointSegmenter

__all__ = ['PointSegmentation', 'PointSegmentationMethod', 'PointSegmenter']
