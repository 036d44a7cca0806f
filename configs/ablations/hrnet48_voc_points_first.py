# Table 6, points first: pixels go to points by where their offsets land.
_base_ = './hrnet48_voc_base.py'

model = dict(test_cfg=dict(decoder=dict(grouping='offset')))
