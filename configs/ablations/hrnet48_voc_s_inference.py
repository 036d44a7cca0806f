# S, the scores propagated by the affinity, is used only at inference. The training is that of
# s_none.
_base_ = './hrnet48_voc_s_none.py'

model = dict(test_cfg=dict(rounds=1))
