# DeepLabV3+ of mmseg, with OffsetHead and AffinityHead as auxiliary heads.
_base_ = './_base_/segmentor_voc.py'

norm_cfg = dict(type='SyncBN', requires_grad=True)
labeler = dict(min_region_area=50)  # for the targets of both heads
model = dict(
    type='mmseg.EncoderDecoder',
    data_preprocessor=dict(
        type='mmseg.SegDataPreProcessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        size=(416, 416),
        test_cfg=dict(size_divisor=32),
    ),
    backbone=dict(
        type='mmseg.ResNetV1c',
        depth=50,
        num_stages=4,
        out_indices=(0, 1, 2, 3),
        strides=(1, 2, 1, 1),
        dilations=(1, 1, 2, 4),
        norm_cfg=norm_cfg,
        contract_dilation=True,
        init_cfg=dict(type='Pretrained', checkpoint='open-mmlab://resnet50_v1c'),
    ),
    decode_head=dict(
        type='mmseg.DepthwiseSeparableASPPHead',
        in_channels=2048,
        in_index=3,
        channels=512,
        dilations=(1, 12, 24, 36),
        c1_in_channels=256,
        c1_channels=48,
        num_classes=21,
        norm_cfg=norm_cfg,
        loss_decode=dict(type='mmseg.CrossEntropyLoss', avg_non_ignore=True),
    ),
    auxiliary_head=[
        dict(
            type='mmp2seg.OffsetAuxHead',
            in_channels=1024,  # stride 8
            in_index=2,
            channels=256,
            labeler=labeler,
            loss_decode=dict(type='mmp2seg.OffsetLoss', loss_weight=0.01),
        ),
        dict(
            type='mmp2seg.AffinityAuxHead',
            in_channels=1024,
            in_index=2,
            channels=128,
            labeler=labeler,
            loss_decode=dict(type='mmp2seg.AffinityLoss', background='instance', loss_weight=0.1),
        ),
    ],
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
