# Where S, the scores propagated by the affinity, is used: at inference alone. Shares the training
# of s_none.
_base_ = './tiny_shapes_s_none.py'

model = dict(test_cfg=dict(rounds=1))
