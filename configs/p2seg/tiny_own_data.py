# Your own photographs and points on a CPU: copy this file and change the first two lines.
_base_ = [
    '../_base_/models/p2seg_tiny.py',
    '../_base_/models/point_segmenter_efficientnet-lite0.py',  # predict without maps
    '../_base_/datasets/own_points.py',
    '../_base_/default_runtime.py',
]

data_root = 'data/own/'  # with images/, points.json, WSSS_maps/
classes = ('cat', 'dog')  # names in the json; the values 1, 2, ... of the maps are in this order

data = dict(data_root=data_root, metainfo=dict(classes=classes))
train_dataloader = dict(dataset=data)
test_dataloader = dict(dataset=data)
test_evaluator = dict(
    type='mmp2seg.PseudoLabelWriter',
    outfile='work_dirs/tiny_own_data/pseudo_labels.json',
    ann_file=data_root + 'points.json',
)
model = dict(semantic_head=dict(num_classes=len(classes)))

max_iters = 2000
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=max_iters)
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=4e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=200),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=200, end=max_iters, T_max=max_iters - 200),
]
default_hooks = dict(checkpoint=dict(interval=500))
