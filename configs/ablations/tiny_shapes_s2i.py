# Tables 3 and 12, S2I alone: our network on Shapes, which has no affinity head. It alone decides at
# inference, as in the paper. The other ablations on Shapes start here.
_base_ = '../p2seg/tiny_shapes.py'

model = dict(test_cfg=dict(use_weak_map=False, network_weight=0.0))
