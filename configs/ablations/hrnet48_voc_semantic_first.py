# Table 6, semantic results first: each pixel of a region goes to the region's nearest point.
_base_ = './hrnet48_voc_s2i_i2s.py'

model = dict(test_cfg=dict(decoder=dict(grouping='nearest')))
