"""Data structures: points as an mmdet box type, and the fields of a data sample."""

from mmp2seg.structures.point_boxes import PointBoxes

__all__ = ['PointBoxes']
