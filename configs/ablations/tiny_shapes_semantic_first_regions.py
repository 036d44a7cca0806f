# Table 6, semantic results first, in its other interpretation: every point gets its whole region.
_base_ = './tiny_shapes_s2i.py'

model = dict(test_cfg=dict(decoder=dict(grouping='region')))
