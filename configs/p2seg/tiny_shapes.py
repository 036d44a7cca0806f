_base_ = [
    '../_base_/models/p2seg_tiny.py',
    '../_base_/datasets/shapes_points.py',
    '../_base_/default_runtime.py',
]

# Images of 128 pixels whose objects touch and have borders that are easy to see: reach farther than
# on photographs.
model = dict(
    distiller=dict(instance_scorer=dict(affinity=dict(dilations=(1, 2, 4)))),
    test_cfg=dict(decoder=dict(scorer=dict(affinity=dict(dilations=(1, 2, 4, 8))))),
)

max_iters = 2000
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=max_iters)
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=4e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=200),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=200, end=max_iters, T_max=max_iters - 200),
]
default_hooks = dict(checkpoint=dict(interval=500))
