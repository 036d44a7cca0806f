# SegFormer of mmseg, with OffsetHead and AffinityHead as auxiliary heads.
_base_ = './_base_/segmentor_voc.py'

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
        type='mmseg.MixVisionTransformer',
        embed_dims=32,
        num_layers=[2, 2, 2, 2],
        num_heads=[1, 2, 5, 8],
        patch_sizes=[7, 3, 3, 3],
        sr_ratios=[8, 4, 2, 1],
        drop_path_rate=0.1,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://download.openmmlab.com/mmsegmentation/v0.5/pretrain/segformer/'
            'mit_b0_20220624-7e0fe6dd.pth',
        ),
    ),
    decode_head=dict(
        type='mmseg.SegformerHead',
        in_channels=[32, 64, 160, 256],
        in_index=[0, 1, 2, 3],
        channels=256,
        num_classes=21,
        norm_cfg=dict(type='SyncBN', requires_grad=True),
        loss_decode=dict(type='mmseg.CrossEntropyLoss', avg_non_ignore=True),
    ),
    auxiliary_head=[
        dict(
            type='mmp2seg.OffsetAuxHead',
            in_channels=160,  # stride 16
            in_index=2,
            channels=128,
            labeler=labeler,
        ),
        dict(
            type='mmp2seg.AffinityAuxHead',
            in_channels=160,  # stride 16
            in_index=2,
            channels=128,
            labeler=labeler,
            loss_decode=dict(type='mmp2seg.AffinityLoss', background='instance', loss_weight=0.1),
        ),
    ],
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
