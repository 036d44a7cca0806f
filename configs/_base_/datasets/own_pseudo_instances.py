# Stage 2 on your own photographs and the pseudo labels of stage 1, at a size for a CPU. The leaf
# config sets the classes and the paths. For other data, use
#   --cfg-options train_dataloader.dataset.ann_file=LABELS.json \
#       train_dataloader.dataset.data_prefix.img=IMAGES/
# and the same keys with val_ and test_ instead of train_.
train_pipeline = [
    dict(type='LoadImageFromFile'),
    # mmdet silently ignores RLE masks unless poly2mask is set.
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True, poly2mask=True),
    # Resize the long side to 352, times a factor of 0.75..1.33.
    dict(
        type='RandomChoiceResize',
        scales=[(side, side) for side in (264, 308, 352, 396, 440, 468)],
        keep_ratio=True,
    ),
    dict(
        type='RandomCrop',
        crop_size=(320, 320),
        allow_negative_crop=True,
        recompute_bbox=True,
    ),
    # masks that a crop cut off, and what is left of less than 2 x 2 pixels
    dict(type='FilterAnnotations', min_gt_bbox_wh=(2, 2)),
    dict(type='RandomFlip', prob=0.5),
    dict(
        type='PhotoMetricDistortion',
        brightness_delta=16,
        contrast_range=(0.7, 1.3),
        saturation_range=(0.8, 1.2),
        hue_delta=9,
    ),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(352, 352), keep_ratio=True),
    dict(
        type='PackDetInputs',
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
    ),
]

train_dataloader = dict(
    batch_size=4,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='CocoDataset',
        filter_cfg=dict(filter_empty_gt=True),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='CocoDataset', test_mode=True, pipeline=test_pipeline),
)
test_dataloader = val_dataloader

val_evaluator = dict(type='CocoMetric', metric=['bbox', 'segm'])
test_evaluator = val_evaluator
