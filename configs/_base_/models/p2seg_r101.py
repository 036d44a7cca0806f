# The released ResNet-101 network: strides 4..32, a Panoptic-DeepLab decoder per branch.
_base_ = './p2seg.py'

num_classes = 20
norm_cfg = dict(type='SyncBN', momentum=0.01, requires_grad=True)  # paper

model = dict(
    backbone=dict(
        type='mmdet.ResNet',
        depth=101,
        num_stages=4,
        out_indices=(0, 1, 2, 3),
        frozen_stages=-1,
        norm_cfg=norm_cfg,  # paper: the momentum is the backbone's too
        norm_eval=False,
        style='pytorch',
        # The file that 'torchvision://resnet101' refers to; that name works only with torchvision.
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
    # The same kind of decoder as in the semantic branch, without a convolution after it.
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
)
