"""Segment images from points alone, without training."""

from mmp2seg.segmenters.point_segmentation import PointSegmentation, PointSegmentationMethod

__all__ = ['PointSegmentation', 'PointSegmentationMethod']
