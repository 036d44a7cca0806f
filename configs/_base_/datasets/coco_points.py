# COCO 2017 with points and weak semantic maps.
dataset_type = 'mmp2seg.PointCocoDataset'
data_root = 'data/coco/'
# Paper: a point is the centre of an object's box. The file's masks are never looked at. Annotated
# points (`point: [x, y]` of an annotation) take point_source = 'point'.
ann_file = 'annotations/instances_train2017.json'
point_source = 'bbox'
# The folder of the WEAK semantic maps: a PNG per image, k + 1 for the class in place k below (not
# COCO's category id), 0 = background, 255 = ignore.
weak_map_folder = 'WSSS_maps'
image_folder = 'train2017'
metainfo = dict(
    classes=[
        *['person', 'bicycle', 'car', 'motorcycle', 'airplane', 'bus', 'train', 'truck', 'boat'],
        *['traffic light', 'fire hydrant', 'stop sign', 'parking meter', 'bench', 'bird', 'cat'],
        *['dog', 'horse', 'sheep', 'cow', 'elephant', 'bear', 'zebra', 'giraffe', 'backpack'],
        *['umbrella', 'handbag', 'tie', 'suitcase', 'frisbee', 'skis', 'snowboard', 'sports ball'],
        *['kite', 'baseball bat', 'baseball glove', 'skateboard', 'surfboard', 'tennis racket'],
        *['bottle', 'wine glass', 'cup', 'fork', 'knife', 'spoon', 'bowl', 'banana', 'apple'],
        *['sandwich', 'orange', 'broccoli', 'carrot', 'hot dog', 'pizza', 'donut', 'cake', 'chair'],
        *['couch', 'potted plant', 'bed', 'dining table', 'toilet', 'tv', 'laptop', 'mouse'],
        *['remote', 'keyboard', 'cell phone', 'microwave', 'oven', 'toaster', 'sink'],
        *['refrigerator', 'book', 'clock', 'vase', 'scissors', 'teddy bear', 'hair drier'],
        'toothbrush',
    ]
)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='mmp2seg.LoadPointAnnotations'),
    # Paper: the long side to 449, times 0.7..1.3 in steps of 0.1.
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
    # The mean colour becomes 0 after normalisation; the map's padding is ignore.
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
        metainfo=metainfo,
        pipeline=train_pipeline,
    ),
)
# Stage 1 is 'tested' on its own training images: that is where the pseudo labels are needed.
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
        metainfo=metainfo,
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
# Images and categories, with COCO's own ids, are those of the annotation file.
test_evaluator = dict(
    type='mmp2seg.PseudoLabelWriter',
    outfile='data/pseudo_labels/p2seg_coco_train2017.json',
    ann_file=data_root + ann_file,
)
