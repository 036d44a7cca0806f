# Table 6, semantic results first: each pixel of a region goes to the region's nearest point.
_base_ = './tiny_shapes_s2i.py'

model = dict(test_cfg=dict(decoder=dict(grouping='nearest')))
