"""Heads: features to dense maps, their losses and their predictions."""

from mmp2seg.models.heads.affinity_head import AffinityHead
from mmp2seg.models.heads.offset_head import OffsetHead
from mmp2seg.models.heads.semantic_head import SemanticHead

__all__ = ['AffinityHead', 'OffsetHead', 'SemanticHead']
