# Table 5: the 20 % hardest pixels count in L_seg.
_base_ = './tiny_shapes_base.py'

model = dict(mdm_loss=dict(loss_semantic=dict(ratio=0.2)))
