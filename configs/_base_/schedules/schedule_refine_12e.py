# The released recipe of stage 2 on VOC: 12 epochs on 4 GPUs x 4 images.
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=12, val_interval=12)  # paper: 12
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.02, momentum=0.9, weight_decay=1e-4),  # paper: SGD, 0.02
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=500),  # mmdet's
    dict(type='MultiStepLR', by_epoch=True, begin=0, end=12, milestones=[8, 11]),  # paper: (8, 11)
]
auto_scale_lr = dict(enable=False, base_batch_size=16)
