# Tables 3 and 12, only S2I: our network on Shapes without propagation. As in the paper,
# inference does not use the weak map. The other ablations on Shapes are based on this config.
_base_ = '../p2seg/tiny_shapes.py'

model = dict(
    distiller=dict(_delete_=True, type='mmp2seg.MutualDistiller', rounds=0),
    test_cfg=dict(
        decoder=dict(_delete_=True, type='mmp2seg.InstanceDecoder'),
        use_weak_map=False,
        network_weight=0.0,
    ),
)
