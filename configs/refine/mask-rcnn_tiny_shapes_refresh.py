# mask-rcnn_tiny_shapes_ema.py whose averaged network replaces pseudo masks twice.
_base_ = 'mask-rcnn_tiny_shapes.py'

custom_hooks = [
    dict(type='EMAHook', momentum=0.01, priority='NORMAL'),
    dict(type='mmp2seg.LabelRefreshHook', milestones=[300, 450]),
]
