# Tables 3 and 12, BESTIE: its targets, and pixels grouped only by where their offsets land.
_base_ = './hrnet48_voc_bestie_targets.py'

model = dict(test_cfg=dict(decoder=dict(landing_weight=1.0, anchor='point')))
