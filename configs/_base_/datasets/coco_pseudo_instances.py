# Stage 2 on COCO 2017: an instance segmentor learns the pseudo labels of stage 1 and is tested on
# val2017. For other data, change the paths below, or use
#   --cfg-options train_dataloader.dataset.ann_file=LABELS.json \
#       train_dataloader.dataset.data_prefix.img=IMAGES/ \
#       val_dataloader.dataset.ann_file=TRUTH.json val_dataloader.dataset.data_prefix.img=IMAGES/ \
#       val_evaluator.ann_file=TRUTH.json
# and with tools/test.py the same keys with test_ instead of val_.
_base_ = './coco_classes.py'

pseudo_labels = 'data/pseudo_labels/p2seg_coco_train2017.json'
image_folder = 'data/coco/train2017/'
val_truth = 'data/coco/annotations/instances_val2017.json'
val_image_folder = 'data/coco/val2017/'

train_pipeline = [
    dict(type='LoadImageFromFile'),
    # mmdet silently ignores RLE masks unless poly2mask is set.
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True, poly2mask=True),
    # mmdet's size; the released recipe has several (AutoAugment)
    dict(type='Resize', scale=(1333, 800), keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(1333, 800), keep_ratio=True),
    dict(
        type='PackDetInputs',
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
    ),
]

train_dataloader = dict(
    batch_size=2,  # paper: 8 GPUs x 2
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    batch_sampler=dict(type='AspectRatioBatchSampler'),
    dataset=dict(
        type='CocoDataset',
        metainfo=_base_.metainfo,
        ann_file=pseudo_labels,
        data_prefix=dict(img=image_folder),
        filter_cfg=dict(filter_empty_gt=True, min_size=32),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='CocoDataset',
        metainfo=_base_.metainfo,
        ann_file=val_truth,
        data_prefix=dict(img=val_image_folder),
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(type='CocoMetric', ann_file=val_truth, metric=['bbox', 'segm'])
test_evaluator = val_evaluator
