# Photographs with a point json (tools/dataset_converters/points_to_coco.py) and weak semantic maps,
# at a size for a CPU. The leaf config sets the folder and the classes.
dataset_type = 'mmp2seg.PointCocoDataset'
ann_file = 'points.json'
# images/<name>.<any format>; WSSS_maps/<name>.png: 0 = background, k + 1 = class k, 255 = ignore
data_prefix = dict(img='images', seg_map='WSSS_maps')

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='mmp2seg.LoadPointAnnotations'),
    # Resize the long side to 384, times a factor of 0.7..1.3.
    dict(
        type='RandomChoiceResize',
        scales=[(side, side) for side in (269, 307, 346, 384, 422, 461, 499)],
        keep_ratio=True,
    ),
    dict(type='RandomCrop', crop_size=(256, 256), allow_negative_crop=True),
    dict(type='RandomFlip', prob=0.5),
    dict(
        type='mmseg.PhotoMetricDistortion',
        brightness_delta=16,
        contrast_range=(0.7, 1.3),
        saturation_range=(0.8, 1.2),
        hue_delta=9,
    ),
    # Pad the image with the mean colour (0 after normalisation) and the map with ignore.
    dict(type='Pad', size=(256, 256), pad_val=dict(img=(104, 116, 124), seg=255)),
    dict(type='mmp2seg.FindRegions'),
    dict(type='mmp2seg.PackPointInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='mmp2seg.LoadPointAnnotations', with_seg=True, allow_outside=True),
    # Masks are resized back to the size of the image.
    dict(type='Resize', scale=(384, 384), keep_ratio=True),
    dict(type='mmp2seg.PackPointInputs'),
]
train_dataloader = dict(
    batch_size=4,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        ann_file=ann_file,
        data_prefix=data_prefix,
        pipeline=train_pipeline,
    ),
)
test_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        ann_file=ann_file,
        data_prefix=data_prefix,
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
