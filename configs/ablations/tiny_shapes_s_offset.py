# Where S is used: the regions of refined offset targets are those of S.
_base_ = './tiny_shapes_s2i_i2s.py'

model = dict(distiller=dict(rounds=1, beta=1.0, semantic_use='offset'), test_cfg=dict(rounds=0))
