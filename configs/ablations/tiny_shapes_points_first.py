# Table 6, points first: pixels go to points by where their offsets land.
_base_ = './tiny_shapes_base.py'

model = dict(test_cfg=dict(decoder=dict(grouping='offset')))
