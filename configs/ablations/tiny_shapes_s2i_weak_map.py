# S2I alone; at inference the weak map has a share in the scores.
_base_ = './tiny_shapes_s2i.py'

model = dict(test_cfg=dict(use_weak_map=True, network_weight=0.7))
