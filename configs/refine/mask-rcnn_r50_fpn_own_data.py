# Mask R-CNN on the pseudo labels of your own photographs, for a GPU: copy this file and change the
# first two lines, or let `mmp2seg init` write a config. It has not run on a GPU yet.
_base_ = [
    'mmdet::_base_/models/mask-rcnn_r50_fpn.py',
    '../_base_/datasets/own_pseudo_instances.py',
    '../_base_/default_runtime.py',
]

data_root = 'data/own/'  # with images/ and pseudo_labels.json
classes = ('cat', 'dog')  # names in the json

train_pipeline = [
    *_base_.train_pipeline[:2],
    dict(type='Resize', scale=(1333, 800), keep_ratio=True),  # mmdet's size
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    _base_.test_pipeline[0],
    dict(type='Resize', scale=(1333, 800), keep_ratio=True),
    _base_.test_pipeline[2],
]
data = dict(
    metainfo=dict(classes=classes),
    ann_file=data_root + 'pseudo_labels.json',
    data_prefix=dict(img=data_root + 'images/'),
)
train_dataloader = dict(num_workers=4, dataset=dict(data, pipeline=train_pipeline))
# Without true masks, this only measures how well the network has learnt its labels. If you have the
# true masks of other photographs, name them here.
val_dataloader = dict(num_workers=4, dataset=dict(data, pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data['ann_file'])
test_evaluator = val_evaluator

model = dict(
    roi_head=dict(
        bbox_head=dict(num_classes=len(classes)), mask_head=dict(num_classes=len(classes))
    )
)

max_iters = 1500  # 12 epochs of 500 images, as in mmdet's schedule
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=max_iters)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper',
    # mmdet's .02 is for 16 images
    optimizer=dict(type='SGD', lr=0.005, momentum=0.9, weight_decay=1e-4),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=500),  # mmdet's
    dict(
        type='MultiStepLR',
        by_epoch=False,
        begin=0,
        end=max_iters,
        milestones=[2 * max_iters // 3, 11 * max_iters // 12],  # after epochs 8 and 11 of 12
    ),
]
default_hooks = dict(checkpoint=dict(interval=500))
