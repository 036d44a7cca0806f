# Variant of ../../_base_/datasets/voc_points.py for configs with any default scope. Under the scope
# mmseg, 'RandomCrop' would be mmseg's and 'Resize' mmcv's; these do not transform points.
_base_ = '../../_base_/datasets/voc_points.py'

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='mmp2seg.LoadPointAnnotations'),
    dict(
        type='RandomChoiceResize',
        resize_type='mmdet.Resize',
        scales=[(side, side) for side in (314, 359, 404, 449, 494, 539, 584)],
        keep_ratio=True,
    ),
    dict(type='mmdet.RandomCrop', crop_size=(416, 416), allow_negative_crop=True),
    dict(type='mmdet.RandomFlip', prob=0.5),
    dict(type='mmdet.Pad', size=(416, 416), pad_val=dict(img=(104, 116, 124), seg=255)),
    dict(type='mmp2seg.FindRegions'),
    dict(type='mmp2seg.PackPointInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
