# The same round in training as well: its instances give the refined offset targets.
_base_ = './own_data_g_inference.py'

model = dict(
    distiller=dict(
        instance_scorer=dict(
            affinity=dict(type='mmp2seg.GuidedAffinity', dilations=(1, 2)), stride=4
        ),
        network_weight=0.5,
        semantic_use='offset',
        propagate_begin=150,
        semantic_begin=150,
    )
)
