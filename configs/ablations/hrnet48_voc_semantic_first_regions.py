# Table 6, semantic first, read the other way: every point gets all of its region.
_base_ = './hrnet48_voc_base.py'

model = dict(test_cfg=dict(decoder=dict(grouping='region')))
