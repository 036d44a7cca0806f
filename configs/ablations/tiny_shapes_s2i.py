# Tables 3 and 12, only S2I: our network on Shapes, which has no affinity head. As in the paper,
# inference does not use the weak map. The other ablations on Shapes are based on this config.
_base_ = '../p2seg/tiny_shapes.py'

model = dict(test_cfg=dict(use_weak_map=False, network_weight=0.0))
