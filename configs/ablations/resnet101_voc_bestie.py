# Table 1, BESTIE: its targets, and the grouping by landing alone.
_base_ = './resnet101_voc_bestie_targets.py'

model = dict(test_cfg=dict(decoder=dict(landing_weight=1.0, anchor='point')))
