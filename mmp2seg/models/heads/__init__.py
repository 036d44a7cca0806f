"""Heads: from feature maps to raw maps, and from raw maps to predictions."""

from mmp2seg.models.heads.affinity_head import AffinityHead
from mmp2seg.models.heads.dense_heads import OffsetHead, SemanticHead

__all__ = ['AffinityHead', 'OffsetHead', 'SemanticHead']
