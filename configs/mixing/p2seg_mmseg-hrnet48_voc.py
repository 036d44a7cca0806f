# P2Seg on mmseg's HRNet-48, which fuses its branches by bilinear upsampling.
_base_ = './_base_/p2seg_hrnet48_voc.py'

model = dict(backbone=dict(type='mmseg.HRNet'))
