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
        type='mmdet.ResNet',
        depth=101,
        num_stages=4,
        out_indices=(0, 1, 2, 3),
        frozen_stages=-1,
        norm_cfg=norm_cfg,  # paper: the momentum is the backbone's too
        norm_eval=False,
        style='pytorch',
        # What 'torchvision://resnet101' stands for, which only works with torchvision installed.
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://download.pytorch.org/models/resnet101-63fe2227.pth',
        ),
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
    ),
    # A decoder of the semantic branch's shape, no convolution after it.
    affinity_head=dict(
        type='mmp2seg.AffinityHead',
        in_channels=256,
        channels=256,
        kernel_size=None,
        decoder=dict(
            type='mmp2seg.PanopticDeepLabDecoder',
            channels=256,
            low_level_channels=(128, 64, 32),
            norm_cfg=norm_cfg,
        ),
    ),
    # Rules of the regions and targets; the decoder of test_cfg uses the same regions.
    labeler=dict(
        type='mmp2seg.PointPseudoLabeler',
        conflict='nearest',  # paper: distance separation
        min_region_area=50,  # released code
    ),
    mdm_loss=dict(
        type='mmp2seg.MDMLoss',
        lambda_s2i=1.0,  # paper
        lambda_i2s=0.1,  # paper: 1
        loss_semantic=dict(
            type='mmp2seg.HardPixelCrossEntropyLoss',
            ratio=0.2,  # paper
        ),
        loss_offset=dict(
            type='mmp2seg.OffsetLoss',
            beta=1.0,  # the paper's formula says smooth L1; the released code has plain L1 (0)
            loss_weight=0.01,  # paper
        ),
        loss_affinity=dict(type='mmp2seg.AffinityLoss', background='instance'),
    ),
    # Not measured on VOC. On Shapes I2S gained nothing and S in the targets cost accuracy
    # (docs/ablations.md): the affinity loss has a small weight, and S is in no target. The other
    # options are for those who let S in; the paper's are in configs/ablations/hrnet48_voc_paper.py.
    distiller=dict(
        type='mmp2seg.MutualDistiller',
        refine_begin=1,  # paper
        rounds=1,
        beta=2.0,
        radius=16,  # cells of 4 pixels
        semantic_input='weak',
        network_weight=0.5,
        semantic_use='none',
        propagate_begin=15000,
        semantic_begin=15000,
    ),
    # Pseudo labels are made for images that have a weak map: it takes part in the scores.
    test_cfg=dict(use_weak_map=True, network_weight=0.7),
)
