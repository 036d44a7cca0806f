"""Parts of P2Seg with the interfaces of mmseg's segmentors."""

from mmp2seg.models.mixing.affinity_propagation import AffinityPropagation
from mmp2seg.models.mixing.auxiliary_heads import AffinityAuxHead, OffsetAuxHead
from mmp2seg.models.mixing.propagated_head import PropagatedHead

__all__ = ['AffinityAuxHead', 'AffinityPropagation', 'OffsetAuxHead', 'PropagatedHead']
