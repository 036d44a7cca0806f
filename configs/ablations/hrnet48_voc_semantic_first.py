# Table 6, semantic results first: a region of the semantic map is cut at the nearest point.
_base_ = './hrnet48_voc_s2i_i2s.py'

model = dict(test_cfg=dict(decoder=dict(grouping='nearest')))
