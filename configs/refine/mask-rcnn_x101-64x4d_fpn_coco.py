# Paper: Mask R-CNN with ResNeXt-101 64x4d on pseudo labels of COCO, with multi-scale training.
_base_ = './mask-rcnn_r50_fpn_coco.py'

model = dict(
    backbone=dict(
        type='ResNeXt',
        depth=101,
        groups=64,
        base_width=4,
        init_cfg=dict(type='Pretrained', checkpoint='open-mmlab://resnext101_64x4d'),
    )
)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    # mmdet silently ignores RLE masks unless poly2mask is set.
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True, poly2mask=True),
    # paper: several sizes, which are not stated; these are the usual ones
    dict(
        type='RandomChoiceResize',
        scales=[(1333, side) for side in range(480, 801, 32)],
        keep_ratio=True,
    ),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
