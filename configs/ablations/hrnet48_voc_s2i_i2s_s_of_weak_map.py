# S2I + I2S; at inference the weak map, propagated by the affinity first, has a share in the scores.
_base_ = './hrnet48_voc_s2i_i2s.py'

model = dict(test_cfg=dict(use_weak_map=True, network_weight=0.7, rounds=1))
