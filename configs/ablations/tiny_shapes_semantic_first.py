# Table 6, semantic first: regions of the semantic map, cut at the nearest point.
_base_ = './tiny_shapes_base.py'

model = dict(test_cfg=dict(decoder=dict(grouping='nearest')))
