# S2I + I2S. At inference, the scores of the weak map are mixed in.
_base_ = './hrnet48_voc_s2i_i2s.py'

model = dict(test_cfg=dict(use_weak_map=True, network_weight=0.7))
