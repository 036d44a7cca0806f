# Tables 3 and 12, only S2I: there is no affinity, so there are no propagated scores S.
_base_ = './hrnet48_voc_s2i_i2s.py'

model = dict(affinity_head=None, distiller=dict(rounds=0), test_cfg=dict(rounds=0))
