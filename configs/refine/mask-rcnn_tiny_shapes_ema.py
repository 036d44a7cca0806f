# mask-rcnn_tiny_shapes.py tested with the averaged weights: to compare with _refresh.py.
_base_ = 'mask-rcnn_tiny_shapes.py'

custom_hooks = [dict(type='EMAHook', momentum=0.01, priority='NORMAL')]
