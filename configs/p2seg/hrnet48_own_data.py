# Your own photographs, points and maps on a GPU: copy this file and change the first two lines, or
# let `mmp2seg init` write a config. It has not run on a GPU yet.
_base_ = [
    '../_base_/models/p2seg_hrnet48.py',
    '../_base_/models/point_segmenter_efficientnet-lite0.py',  # predict without maps
    '../_base_/datasets/own_points.py',
    '../_base_/default_runtime.py',
]

data_root = 'data/own/'  # with images/, points.json, WSSS_maps/
classes = ('cat', 'dog')  # names in the json; the values 1, 2, ... of the maps are in this order

# the paper's sizes for COCO: a long side of 449, times a factor of 0.7..1.3, and crops of 416
crop_size = (416, 416)
changes = dict(
    RandomChoiceResize=dict(scales=[(s, s) for s in (314, 359, 404, 449, 494, 539, 584)]),
    RandomCrop=dict(crop_size=crop_size),
    Pad=dict(size=crop_size),
    Resize=dict(scale=(449, 449)),
)
train_pipeline = [dict(step, **changes.get(step['type'], {})) for step in _base_.train_pipeline]
test_pipeline = [dict(step, **changes.get(step['type'], {})) for step in _base_.test_pipeline]

data = dict(data_root=data_root, metainfo=dict(classes=classes))
train_dataloader = dict(
    batch_size=8,  # paper: 8 GPUs x 1 image
    num_workers=4,
    dataset=dict(data, pipeline=train_pipeline),
)
test_dataloader = dict(num_workers=4, dataset=dict(data, pipeline=test_pipeline))
test_evaluator = dict(
    type='mmp2seg.PseudoLabelWriter',
    outfile='work_dirs/hrnet48_own_data/pseudo_labels.json',
    ann_file=data_root + 'points.json',
)

max_iters = 5000  # 38 epochs of 1000 images, as the paper's 50 000 iterations are for VOC
warm_up = 1500
model = dict(
    semantic_head=dict(num_classes=len(classes)),
    distiller=dict(propagate_begin=warm_up, semantic_begin=warm_up),
)
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=max_iters)
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=5e-5))  # paper
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type='PolyLR', power=0.9, eta_min=0.0, by_epoch=False, begin=0, end=max_iters),  # paper
]
default_hooks = dict(checkpoint=dict(interval=1000))
