"""Heads: turn feature maps into raw maps, and raw maps into predictions."""

from mmp2seg.models.heads.affinity_head import AffinityHead
from mmp2seg.models.heads.dense_heads import OffsetHead, SemanticHead
from mmp2seg.models.heads.point_class_head import PointClassHead

__all__ = ['AffinityHead', 'OffsetHead', 'PointClassHead', 'SemanticHead']
