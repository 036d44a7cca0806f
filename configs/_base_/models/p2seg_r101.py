# The released ResNet-101 network: strides 4..32, a Panoptic-DeepLab decoder per branch.
num_classes = 20
norm_cfg = dict(type='SyncBN', momentum=0.01, requires_grad=True)  # paper

model = dict(
    type='mmp2seg.P2Seg',
    data_preprocessor=dict(
        type='mmp2seg.PointDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_size_divisor=32,  # paper: sides rounded up to multiples of 32
    ),
    backbone=dict(
        type='ResNet',
        depth=101,
        num_stages=4,
        out_indices=(0, 1, 2, 3),
        frozen_stages=-1,
        norm_cfg=dict(type='SyncBN', requires_grad=True),
        norm_eval=False,
        style='pytorch',
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet101'),
    ),
    semantic_head=dict(
        type='mmp2seg.SemanticHead',
        num_classes=num_classes,
        in_channels=256,
        channels=256,
        kernel_size=5,
        depthwise_separable=True,
        norm_cfg=norm_cfg,
        align_corners=True,
        decoder=dict(
            type='mmp2seg.PanopticDeepLabDecoder',
            channels=256,
            low_level_channels=(128, 64, 32),
            norm_cfg=norm_cfg,
        ),
        loss_semantic=dict(
            type='mmp2seg.HardPixelCrossEntropyLoss',
            ratio=0.2,  # paper
            loss_weight=1.0,  # paper
        ),
    ),
    offset_head=dict(
        type='mmp2seg.OffsetHead',
        in_channels=128,
        channels=32,
        kernel_size=5,
        depthwise_separable=True,
        norm_cfg=norm_cfg,
        align_corners=True,
        decoder=dict(
            type='mmp2seg.PanopticDeepLabDecoder',
            channels=128,
            low_level_channels=(64, 32, 16),
            norm_cfg=norm_cfg,
        ),
        loss_offset=dict(type='mmp2seg.OffsetLoss', beta=1.0, loss_weight=0.01),  # paper
    ),
    train_cfg=dict(refine_begin=1),  # paper
    test_cfg=dict(return_maps=False),
)
