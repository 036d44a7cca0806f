# COCO 2017 with points and weak semantic maps.
_base_ = './coco_classes.py'

dataset_type = 'mmp2seg.PointCocoDataset'
data_root = 'data/coco/'
# Paper: a point is the centre of an object's box. The masks of the file are never read. For
# annotated points (`point: [x, y]` of an annotation), set point_source = 'point'.
ann_file = 'annotations/instances_train2017.json'
point_source = 'bbox'
# The folder of the WEAK semantic maps: one PNG per image. 0 is background, k + 1 is entry k of
# coco_classes.py (not COCO's category id), 255 is ignore.
weak_map_folder = 'WSSS_maps'
image_folder = 'train2017'

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='mmp2seg.LoadPointAnnotations'),
    # Paper: resize the long side to 449, times a factor of 0.7..1.3 in steps of 0.1.
    dict(
        type='RandomChoiceResize',
        scales=[(side, side) for side in (314, 359, 404, 449, 494, 539, 584)],
        keep_ratio=True,
    ),
    dict(type='RandomCrop', crop_size=(416, 416), allow_negative_crop=True),  # paper
    dict(type='RandomFlip', prob=0.5),  # paper
    # Paper: brightness +-16, contrast 0.5..1.5, hue +-36 degrees (OpenCV's hue counts half
    # degrees), each with probability 0.5.
    dict(
        type='mmseg.PhotoMetricDistortion',
        brightness_delta=16,
        contrast_range=(0.5, 1.5),
        saturation_range=(1.0, 1.0),
        hue_delta=18,
    ),
    # Pad the image with the mean colour (0 after normalisation) and the map with ignore.
    dict(type='Pad', size=(416, 416), pad_val=dict(img=(104, 114, 120), seg=255)),
    dict(type='mmp2seg.FindRegions'),
    dict(type='mmp2seg.PackPointInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='mmp2seg.LoadPointAnnotations', with_seg=True, allow_outside=True),
    dict(type='mmp2seg.PackPointInputs'),
]

train_dataloader = dict(
    batch_size=1,  # paper: 8 GPUs x 1 image
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file=ann_file,
        data_prefix=dict(img=image_folder, seg_map=weak_map_folder),
        point_source=point_source,
        metainfo=_base_.metainfo,
        pipeline=train_pipeline,
    ),
)
# Stage 1 is 'tested' on its training images, because these need pseudo labels.
test_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file=ann_file,
        data_prefix=dict(img=image_folder, seg_map=weak_map_folder),
        point_source=point_source,
        metainfo=_base_.metainfo,
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
# The annotation file provides the images, and the categories with COCO's ids.
test_evaluator = dict(
    type='mmp2seg.PseudoLabelWriter',
    outfile='data/pseudo_labels/p2seg_coco_train2017.json',
    ann_file=data_root + ann_file,
)
