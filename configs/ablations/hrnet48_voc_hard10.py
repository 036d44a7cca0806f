# Table 5: the 10 % hardest pixels count in L_seg.
_base_ = './hrnet48_voc_base.py'

model = dict(mdm_loss=dict(loss_semantic=dict(ratio=0.1)))
