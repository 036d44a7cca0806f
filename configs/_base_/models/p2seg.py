# The shared part of the released networks: everything except the backbone and the heads.
model = dict(
    type='mmp2seg.P2Seg',
    data_preprocessor=dict(
        type='mmp2seg.PointDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_size_divisor=32,  # paper: sides rounded up to multiples of 32
    ),
    # Rules for regions and targets; the decoder in test_cfg uses the same regions.
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
    # Rounds of S2I and I2S by an affinity of the image's colours. Not measured on VOC. On Shapes
    # they gain most, and the paper's pairwise affinity, propagated, gained nothing
    # (docs/ablations.md); its loss keeps a small weight. configs/_base_/paper.py has the paper's
    # values.
    distiller=dict(
        type='mmp2seg.MutualDistiller',
        refine_begin=1,  # paper
        # at the stride of the network's maps; 2 cells reach as far as 8 pixels
        instance_scorer=dict(
            affinity=dict(type='mmp2seg.GuidedAffinity', dilations=(1, 2)), stride=4
        ),
        network_weight=0.5,
        semantic_use='semantic',
        propagate_begin=15000,
        semantic_begin=15000,
        # of the pairwise affinity, for the ablations that use it instead
        rounds=1,
        beta=2.0,
        radius=16,  # cells of 4 pixels
        semantic_input='weak',
    ),
    # Pseudo labels are made for images with a weak map, so the scores use it.
    test_cfg=dict(
        decoder=dict(
            type='mmp2seg.InstanceDecoder',
            scorer=dict(affinity=dict(type='mmp2seg.GuidedAffinity')),
        ),
        use_weak_map=True,
        network_weight=0.5,
    ),
)
