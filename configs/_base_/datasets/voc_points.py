# VOC 2012 with the augmented set, points and weak semantic maps, in the layout of BESTIE and P2Seg.
dataset_type = 'mmp2seg.PointVOCDataset'
data_root = 'data/VOC2012/'
train_list = 'ImageSets/Segmentation/train_aug.txt'  # paper: 10 582 images
# The folder of the WEAK semantic maps. To train on ground truth (table 9), set 'SegmentationClass';
# see configs/ablations/hrnet48_voc_gt_maps.py. Ground truth is never used silently.
weak_map_folder = 'WSSS_maps'
points_folder = 'Center_points'
image_folder = 'JPEGImages'

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
    dict(type='Pad', size=(416, 416), pad_val=dict(img=(104, 116, 124), seg=255)),
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
        ann_file=train_list,
        data_prefix=dict(img=image_folder, points=points_folder, seg_map=weak_map_folder),
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
        ann_file=train_list,
        data_prefix=dict(img=image_folder, points=points_folder, seg_map=weak_map_folder),
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
test_evaluator = dict(
    type='mmp2seg.PseudoLabelWriter', outfile='data/pseudo_labels/p2seg_voc_train_aug.json'
)
