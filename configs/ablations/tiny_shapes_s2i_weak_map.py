# S2I alone; at inference the weak map takes part in the scores.
_base_ = './tiny_shapes_s2i.py'

model = dict(test_cfg=dict(use_weak_map=True, network_weight=0.7))
