# Table 10: S = A^(o 2) * C, in the offset targets and at inference.
_base_ = './tiny_shapes_s_offset.py'

model = dict(distiller=dict(beta=2.0), test_cfg=dict(rounds=1))
