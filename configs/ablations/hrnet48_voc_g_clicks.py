# g_semantic; the rows of the clicks of the learned affinity are a factor of the instance scores at
# inference.
_base_ = './hrnet48_voc_g_semantic.py'

model = dict(test_cfg=dict(decoder=dict(scorer=dict(click_weight=0.1))))
