# For comparison: mmdet's BoxInst, which learns from the true boxes of VOC without masks.
# It needs scikit-image.
_base_ = [
    '../_base_/models/boxinst_r50_fpn.py',
    '../_base_/datasets/voc_pseudo_instances.py',
    '../_base_/schedules/schedule_refine_12e.py',
    'mmdet::_base_/default_runtime.py',
]

model = dict(bbox_head=dict(num_classes=20))

optim_wrapper = dict(optimizer=dict(lr=0.01))  # mmdet's value for BoxInst

true_boxes = 'data/VOC2012/annotations/instances_train_aug.json'
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='RandomResize', scale=(2048, 512), ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type='RandomCrop', crop_size=(512, 512)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackDetInputs'),
]
train_dataloader = dict(
    dataset=dict(dataset=dict(ann_file=true_boxes, pipeline=train_pipeline)),
)
