# Masks from points alone, without training: `mmp2seg masks` uses this config by default.
_base_ = '../_base_/models/point_segmenter_efficientnet-lite0.py'

default_scope = 'mmdet'
model = _base_.point_segmenter
