"""Heads: turn feature maps into raw maps, and raw maps into predictions."""

from mmp2seg.models.heads.affinity_head import AffinityHead
from mmp2seg.models.heads.dense_heads import OffsetHead, SemanticHead

__all__ = ['AffinityHead', 'OffsetHead', 'SemanticHead']
