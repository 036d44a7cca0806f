# S2I alone, the weak map averaged into the scores at inference.
_base_ = './hrnet48_voc_s2i.py'

model = dict(test_cfg=dict(use_weak_map=True, network_weight=0.7))
