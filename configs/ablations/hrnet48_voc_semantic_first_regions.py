# Table 6, semantic results first, in its other interpretation: every point gets its whole region.
_base_ = './hrnet48_voc_s2i_i2s.py'

model = dict(test_cfg=dict(decoder=dict(grouping='region')))
