# The released HRNet-48 network: the 48-channel branch at stride 4, and a head on it per branch.
num_classes = 20

model = dict(
    type='mmp2seg.P2Seg',
    data_preprocessor=dict(
        type='mmp2seg.PointDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_size_divisor=32,  # paper: sides rounded up to multiples of 32
    ),
    # mmdet's HRNet fuses its branches by nearest-neighbour upsampling as the released network does,
    # mmseg's by bilinear.
    backbone=dict(
        type='mmdet.HRNet',
        norm_cfg=dict(type='SyncBN', requires_grad=True),  # paper
        norm_eval=False,
        multiscale_output=False,
        extra=dict(
            stage1=dict(
                num_modules=1,
                num_branches=1,
                block='BOTTLENECK',
                num_blocks=(4,),
                num_channels=(64,),
            ),
            stage2=dict(
                num_modules=1,
                num_branches=2,
                block='BASIC',
                num_blocks=(4, 4),
                num_channels=(48, 96),
            ),
            stage3=dict(
                num_modules=4,
                num_branches=3,
                block='BASIC',
                num_blocks=(4, 4, 4),
                num_channels=(48, 96, 192),
            ),
            stage4=dict(
                num_modules=3,
                num_branches=4,
                block='BASIC',
                num_blocks=(4, 4, 4, 4),
                num_channels=(48, 96, 192, 384),
            ),
        ),
        # ImageNet weights of HRNetV2-W48, the same trunk. The released code starts from
        # hrnet_w48-8ef0771d.pth of the HRNet pose project: name its path here to do the same.
        init_cfg=dict(type='Pretrained', checkpoint='open-mmlab://msra/hrnetv2_w48'),
    ),
    semantic_head=dict(
        type='mmp2seg.SemanticHead',
        num_classes=num_classes,
        in_channels=48,
        channels=256,
    ),
    offset_head=dict(
        type='mmp2seg.OffsetHead',
        in_channels=48,
        channels=256,
    ),
    affinity_head=dict(type='mmp2seg.AffinityHead', in_channels=48, channels=256),
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
