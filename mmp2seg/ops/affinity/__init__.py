"""Affinities between pixels: scores in, propagated scores out."""

from mmp2seg.ops.affinity.pairwise import (
    BACKGROUND,
    BACKGROUND_RULES,
    IGNORED,
    mask_unknown,
    pair_loss,
    propagate,
)

__all__ = ['BACKGROUND', 'BACKGROUND_RULES', 'IGNORED', 'mask_unknown', 'pair_loss', 'propagate']
