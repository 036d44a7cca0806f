# Only S2I. At inference, the scores of the weak map are mixed in.
_base_ = './own_data_s2i.py'

model = dict(test_cfg=dict(use_weak_map=True, network_weight=0.7))
