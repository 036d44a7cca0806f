# mmengine's EMA of the weights, gradients of two batches per step, and a cosine schedule.
_base_ = './_base_/p2seg_hrnet48_voc.py'

custom_hooks = [dict(type='EMAHook', momentum=0.0002, begin_iter=0)]
optim_wrapper = dict(accumulative_counts=2)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=2000),
    dict(
        type='CosineAnnealingLR',
        by_epoch=False,
        begin=2000,
        end=_base_.max_iters,
        T_max=_base_.max_iters - 2000,
    ),
]
