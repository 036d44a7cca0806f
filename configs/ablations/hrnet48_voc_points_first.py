# Table 6, points first: pixels go to points by where their offsets land.
_base_ = '../p2seg/hrnet48_voc.py'

model = dict(test_cfg=dict(grouping='offset'))
