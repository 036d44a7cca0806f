# Table 6, semantic first: regions of the semantic map, cut at the nearest point.
_base_ = './hrnet48_voc_base.py'

model = dict(test_cfg=dict(decoder=dict(grouping='nearest')))
