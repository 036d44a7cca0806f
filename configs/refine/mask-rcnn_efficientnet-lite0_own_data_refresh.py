# mask-rcnn_efficientnet-lite0_own_data_ema.py whose averaged network replaces pseudo masks twice.
_base_ = 'mask-rcnn_efficientnet-lite0_own_data_short.py'

custom_hooks = [
    dict(type='EMAHook', momentum=0.02, priority='NORMAL'),
    dict(type='mmp2seg.LabelRefreshHook', milestones=[120, 180]),
]
