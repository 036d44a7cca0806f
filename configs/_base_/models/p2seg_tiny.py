# A small U-Net that trains in minutes on a laptop's CPU.
head_init = dict(type='Kaiming', layer='Conv2d', mode='fan_in')

model = dict(
    type='mmp2seg.P2Seg',
    channels_last=True,
    data_preprocessor=dict(
        type='mmp2seg.PointDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_size_divisor=32,
    ),
    backbone=dict(
        type='mmseg.UNet',
        base_channels=16,
        num_stages=5,
        strides=(2, 1, 1, 1, 1),
        upsample_cfg=dict(type='mmseg.InterpConv'),
        norm_cfg=dict(type='BN', requires_grad=True),
    ),
    # The last map of the U-Net has 16 channels at stride 2.
    semantic_head=dict(
        type='mmp2seg.SemanticHead',
        num_classes=4,
        in_channels=16,
        channels=32,
        in_index=-1,
        init_cfg=head_init,
    ),
    offset_head=dict(
        type='mmp2seg.OffsetHead',
        in_channels=16,
        channels=32,
        in_index=-1,
        init_cfg=head_init,
    ),
    labeler=dict(type='mmp2seg.PointPseudoLabeler', conflict='nearest'),
    mdm_loss=dict(
        type='mmp2seg.MDMLoss',
        # In training from scratch on noisy maps, the paper's 0.2 would mostly select noise.
        loss_semantic=dict(type='mmp2seg.HardPixelCrossEntropyLoss', ratio=0.7),
        loss_offset=dict(type='mmp2seg.OffsetLoss', beta=1.0, loss_weight=0.05),
    ),
    # Rounds of S2I and I2S by an affinity of the image's colours. An affinity head gains nothing
    # here (docs/ablations.md).
    distiller=dict(
        type='mmp2seg.MutualDistiller',
        # at the stride of the network's maps; 2 cells reach as far as 4 pixels
        instance_scorer=dict(
            affinity=dict(type='mmp2seg.GuidedAffinity', dilations=(1, 2)), stride=2
        ),
        network_weight=0.5,
        semantic_use='semantic',
        propagate_begin=600,  # after the network has learned the weak maps
        semantic_begin=600,
    ),
    # Pseudo labels are made for images with a weak map, so the scores use it.
    test_cfg=dict(
        decoder=dict(
            type='mmp2seg.InstanceDecoder',
            scorer=dict(affinity=dict(type='mmp2seg.GuidedAffinity'), landing_weight=0.5),
        ),
        use_weak_map=True,
        network_weight=0.5,
    ),
)
