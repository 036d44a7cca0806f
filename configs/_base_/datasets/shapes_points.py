# The generated dataset Shapes in VOC layout: tools/dataset_converters/make_shapes.py data/shapes
dataset_type = 'mmp2seg.PointVOCDataset'
data_root = 'data/shapes/'
metainfo = dict(classes=('disc', 'square', 'triangle', 'ring'))

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='mmp2seg.LoadPointAnnotations'),
    dict(
        type='RandomFlip', prob=[0.25, 0.25, 0.25], direction=['horizontal', 'vertical', 'diagonal']
    ),
    dict(
        type='mmseg.PhotoMetricDistortion',
        brightness_delta=16,
        contrast_range=(0.7, 1.3),
        saturation_range=(0.8, 1.2),
        hue_delta=9,
    ),
    dict(type='mmp2seg.FindRegions'),
    dict(type='mmp2seg.PackPointInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='mmp2seg.LoadPointAnnotations', with_seg=True, allow_outside=True),
    dict(type='mmp2seg.PackPointInputs'),
]
data_prefix = dict(img='JPEGImages', points='Center_points', seg_map='WSSS_maps')
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        metainfo=metainfo,
        ann_file='ImageSets/Segmentation/train.txt',
        data_prefix=data_prefix,
        pipeline=train_pipeline,
    ),
)
test_dataloader = dict(
    batch_size=8,
    num_workers=1,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        metainfo=metainfo,
        ann_file='ImageSets/Segmentation/train.txt',
        data_prefix=data_prefix,
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
test_evaluator = [
    dict(
        type='mmp2seg.PseudoLabelWriter',
        outfile='work_dirs/tiny_shapes/pseudo_labels.json',
        ann_file=data_root + 'annotations/points_train.json',
    ),
    # Only the metric reads the ground truth; training never does.
    dict(type='mmp2seg.PseudoMaskMetric', ann_file=data_root + 'annotations/instances_train.json'),
]
