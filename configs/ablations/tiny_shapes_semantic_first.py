# Table 6, semantic results first: a region of the semantic map is cut at the nearest point.
_base_ = './tiny_shapes_s2i.py'

model = dict(test_cfg=dict(decoder=dict(grouping='nearest')))
