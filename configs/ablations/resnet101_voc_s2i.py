# Tables 3 and 12, S2I alone: no affinity, and no S.
_base_ = './resnet101_voc_base.py'

model = dict(affinity_head=None, distiller=dict(rounds=0), test_cfg=dict(rounds=0))
