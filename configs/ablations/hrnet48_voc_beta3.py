# Table 10: S = A^(o 3) * C, in the offset targets and at inference.
_base_ = './hrnet48_voc_s_offset.py'

model = dict(distiller=dict(beta=3.0), test_cfg=dict(rounds=1))
