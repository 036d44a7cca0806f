# mask-rcnn_efficientnet-lite0_own_data_short.py tested with the averaged weights: to compare with
# _refresh.py.
_base_ = 'mask-rcnn_efficientnet-lite0_own_data_short.py'

custom_hooks = [dict(type='EMAHook', momentum=0.02, priority='NORMAL')]
