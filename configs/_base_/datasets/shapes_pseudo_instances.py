# Stage 2 on the generated dataset Shapes: trains on the pseudo labels of the training images and is
# tested on the true instances of held-out images. For other data, change the first
# three lines, or use
#   --cfg-options train_dataloader.dataset.ann_file=LABELS.json \
#       train_dataloader.dataset.data_prefix.img=IMAGES/
# and the same keys with val_ and test_ instead of train_.
pseudo_labels = 'work_dirs/tiny_shapes/pseudo_labels.json'
image_folder = 'data/shapes/JPEGImages/'
val_truth = 'data/shapes/annotations/instances_val.json'

metainfo = dict(classes=('disc', 'square', 'triangle', 'ring'))

train_pipeline = [
    dict(type='LoadImageFromFile'),
    # mmdet silently ignores RLE masks unless poly2mask is set.
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True, poly2mask=True),
    dict(
        type='RandomFlip', prob=[0.25, 0.25, 0.25], direction=['horizontal', 'vertical', 'diagonal']
    ),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale_factor=1.0, keep_ratio=True),  # mmdet's mask head needs scale_factor
    dict(
        type='PackDetInputs',
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
    ),
]

train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='CocoDataset',
        metainfo=metainfo,
        ann_file=pseudo_labels,
        data_prefix=dict(img=image_folder),
        filter_cfg=dict(filter_empty_gt=True),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=1,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='CocoDataset',
        metainfo=metainfo,
        ann_file=val_truth,
        data_prefix=dict(img=image_folder),
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(type='CocoMetric', ann_file=val_truth, metric=['bbox', 'segm'])
test_evaluator = val_evaluator
