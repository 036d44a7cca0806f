"""A P2Seg network of a few thousand parameters."""


def tiny_p2seg_config(*, num_classes: int = 2, **overrides) -> dict:
    """Config of a P2Seg on a small U-Net, stride 2.

    Args:
        num_classes: K.
        overrides: entries of the model's config to replace.

    Returns:
        dict: for ``MODELS.build``, under any default scope.
    """
    head = dict(in_channels=4, channels=8, in_index=-1)
    config = dict(
        type='mmp2seg.P2Seg',
        data_preprocessor=dict(
            type='mmp2seg.PointDataPreprocessor',
            mean=[127.5] * 3,
            std=[60.0] * 3,
            bgr_to_rgb=True,
            pad_size_divisor=16,
        ),
        backbone=dict(
            type='mmseg.UNet',
            base_channels=4,
            num_stages=3,
            strides=(2, 1, 1),
            enc_num_convs=(1, 1, 1),
            dec_num_convs=(1, 1),
            downsamples=(True, True),
            enc_dilations=(1, 1, 1),
            dec_dilations=(1, 1),
            upsample_cfg=dict(type='mmseg.InterpConv'),
            norm_cfg=dict(type='BN'),
        ),
        semantic_head=dict(type='mmp2seg.SemanticHead', num_classes=num_classes, **head),
        offset_head=dict(type='mmp2seg.OffsetHead', **head),
        affinity_head=dict(type='mmp2seg.AffinityHead', **head),
        labeler=dict(type='mmp2seg.PointPseudoLabeler'),
    )
    return {**config, **overrides}
