# A small SOLOv2 that learns Shapes from scratch in minutes on a laptop's CPU.
_base_ = [
    '../_base_/models/solov2_r50_fpn.py',
    '../_base_/datasets/shapes_pseudo_instances.py',
    '../_base_/default_runtime.py',
]

norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    backbone=dict(
        depth=18,
        base_channels=32,
        num_stages=3,
        strides=(1, 2, 2),
        dilations=(1, 1, 1),
        out_indices=(0, 1, 2),
        frozen_stages=-1,
        norm_eval=False,
        init_cfg=None,  # from scratch
    ),
    neck=dict(in_channels=[32, 64, 128], out_channels=64, num_outs=3, norm_cfg=norm_cfg),
    mask_head=dict(
        num_classes=4,
        in_channels=64,
        feat_channels=64,
        stacked_convs=2,
        strides=[8, 8, 16],
        # the objects of Shapes are 7 to 60 pixels wide
        scale_ranges=((1, 24), (16, 48), (32, 128)),
        num_grids=[24, 16, 12],
        mask_feature_head=dict(feat_channels=64, end_level=2, out_channels=64),
    ),
    test_cfg=dict(nms_pre=300, max_per_img=50),
)

max_iters = 1500
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=max_iters)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=2e-3, weight_decay=0.01),
    clip_grad=dict(max_norm=10.0),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=100),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=100, end=max_iters, T_max=max_iters - 100),
]
default_hooks = dict(checkpoint=dict(interval=500))

val_evaluator = dict(metric='segm')  # SOLOv2 has no boxes
test_evaluator = val_evaluator
