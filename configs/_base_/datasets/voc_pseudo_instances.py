# Stage 2 on VOC 2012: an instance segmentor learns the pseudo labels of stage 1 and is tested on
# the true instances of held-out images. For other data, change the first four lines, or use
#   --cfg-options train_dataloader.dataset.dataset.ann_file=LABELS.json \
#       train_dataloader.dataset.dataset.data_prefix.img=IMAGES/ \
#       val_dataloader.dataset.ann_file=TRUTH.json val_dataloader.dataset.data_prefix.img=IMAGES/ \
#       val_evaluator.0.ann_file=TRUTH.json val_evaluator.1.ann_file=TRUTH.json \
#       val_evaluator.2.ann_file=TRUTH.json val_evaluator.2.void_dir=None
# and with tools/test.py the same keys with test_ instead of val_.
pseudo_labels = 'data/pseudo_labels/p2seg_voc_train_aug.json'
image_folder = 'data/VOC2012/JPEGImages/'
val_truth = 'data/VOC2012/annotations/instances_val.json'
void_folder = 'data/VOC2012/SegmentationClass/'  # 255 = void, for table 8; None: no void band

metainfo = dict(
    classes=(
        'aeroplane',
        'bicycle',
        'bird',
        'boat',
        'bottle',
        'bus',
        'car',
        'cat',
        'chair',
        'cow',
        'diningtable',
        'dog',
        'horse',
        'motorbike',
        'person',
        'pottedplant',
        'sheep',
        'sofa',
        'train',
        'tvmonitor',
    )
)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    # mmdet silently ignores RLE masks unless poly2mask is set.
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True, poly2mask=True),
    dict(type='RandomResize', scale=(2048, 512), ratio_range=(0.5, 2.0), keep_ratio=True),  # paper
    dict(type='RandomCrop', crop_size=(512, 512), recompute_bbox=True),  # paper
    dict(
        type='FilterAnnotations', min_gt_bbox_wh=(1e-2, 1e-2)
    ),  # drop masks that were cropped away
    dict(type='RandomFlip', prob=0.5),  # paper
    dict(type='PhotoMetricDistortion'),  # paper
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(2048, 512), keep_ratio=True),  # paper
    dict(
        type='PackDetInputs',
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
    ),
]

train_dataloader = dict(
    batch_size=4,  # paper: 4 GPUs x 4
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    batch_sampler=dict(type='AspectRatioBatchSampler'),
    dataset=dict(
        type='RepeatDataset',
        times=3,  # paper
        dataset=dict(
            type='CocoDataset',
            metainfo=metainfo,
            ann_file=pseudo_labels,
            data_prefix=dict(img=image_folder),
            filter_cfg=dict(filter_empty_gt=True, min_size=32),
            pipeline=train_pipeline,
        ),
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
        metainfo=metainfo,
        ann_file=val_truth,
        data_prefix=dict(img=image_folder),
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader

val_evaluator = [
    dict(type='CocoMetric', ann_file=val_truth, metric=['bbox', 'segm']),
    dict(type='mmp2seg.VOCInstanceMetric', ann_file=val_truth),  # paper: table 1
    # Table 8 by our own definition.
    dict(type='mmp2seg.MissingAdjacentMetric', ann_file=val_truth, void_dir=void_folder),
]
test_evaluator = val_evaluator
