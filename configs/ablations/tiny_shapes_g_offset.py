# The same round in training as well: its instances give the refined offset targets.
_base_ = './tiny_shapes_g_inference.py'

model = dict(
    distiller=dict(
        # at the stride of the network's maps; 4 cells reach as far as 8 pixels
        instance_scorer=dict(
            affinity=dict(type='mmp2seg.GuidedAffinity', dilations=(1, 2, 4)), stride=2
        ),
        network_weight=0.5,
        semantic_use='offset',
        propagate_begin=600,
        semantic_begin=600,
    )
)
