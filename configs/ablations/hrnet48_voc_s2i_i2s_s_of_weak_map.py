# S2I + I2S, the weak map propagated by the affinity into the scores at inference.
_base_ = './hrnet48_voc_s2i_i2s.py'

model = dict(test_cfg=dict(use_weak_map=True, network_weight=0.7, rounds=1))
