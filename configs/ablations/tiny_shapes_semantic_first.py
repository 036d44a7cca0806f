# Table 6, semantic first: regions of the semantic map, cut at the nearest point.
_base_ = '../p2seg/tiny_shapes.py'

model = dict(test_cfg=dict(grouping='nearest'))
