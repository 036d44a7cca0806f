# Scores of an mmseg decode head, propagated by an affinity that is trained together with it.
_base_ = './segformer_mit-b0_aux-heads_voc.py'

offset_head, affinity_head = _base_.model.auxiliary_head
model = dict(
    decode_head=dict(
        _delete_=True,
        type='mmp2seg.PropagatedHead',
        head=_base_.model.decode_head,
        affinity_head=affinity_head,
        propagation=dict(type='mmp2seg.AffinityPropagation', rounds=1, beta=2.0, radius=8),
    ),
    auxiliary_head=[offset_head],
)
