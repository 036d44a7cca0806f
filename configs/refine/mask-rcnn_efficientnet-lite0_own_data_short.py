# mask-rcnn_efficientnet-lite0_own_data.py for comparisons of labels in minutes: fewer iterations of
# two small crops.
_base_ = 'mask-rcnn_efficientnet-lite0_own_data.py'

train_pipeline = [
    dict(step, **({'crop_size': (224, 224)} if step['type'] == 'RandomCrop' else {}))
    for step in _base_.train_pipeline
]
train_dataloader = dict(batch_size=2, dataset=dict(pipeline=train_pipeline))

max_iters = 240
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=60),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=60, end=max_iters, T_max=max_iters - 60),
]
default_hooks = dict(checkpoint=dict(interval=120))
