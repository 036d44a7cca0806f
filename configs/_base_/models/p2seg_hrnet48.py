# The released HRNet-48 network: the heads are on the 48-channel branch at stride 4.
_base_ = './p2seg.py'

num_classes = 20

model = dict(
    channels_last=True,  # faster on a CPU and on an H200
    # mmdet's HRNet fuses its branches by nearest-neighbour upsampling, like the released network;
    # mmseg's HRNet uses bilinear upsampling.
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
        # hrnet_w48-8ef0771d.pth of the HRNet pose project; to do the same, set its path here.
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
)
