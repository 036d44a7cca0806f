"""Pairwise affinities of pixels: the pair loss, and the propagation of scores."""

from mmp2seg.ops.affinity.pairwise import (
    BACKGROUND,
    BACKGROUND_RULES,
    IGNORED,
    mask_unknown,
    pair_loss,
    propagate,
)

__all__ = ['BACKGROUND', 'BACKGROUND_RULES', 'IGNORED', 'mask_unknown', 'pair_loss', 'propagate']
