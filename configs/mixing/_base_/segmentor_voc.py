# Training of an mmseg segmentor with our auxiliary heads: the weak maps are its labels, the points
# give the targets of our heads. Testing is as usual, on the true maps of the val split.
_base_ = [
    './voc_points.py',
    '../../_base_/schedules/schedule_50k.py',
    '../../_base_/default_runtime.py',
]
default_scope = 'mmseg'

train_pipeline = [*_base_.train_pipeline[:-1], dict(type='mmp2seg.PackSegPointInputs')]
train_dataloader = dict(batch_size=4, dataset=dict(pipeline=train_pipeline))

test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='mmseg.LoadAnnotations'),
    dict(type='mmseg.PackSegInputs'),
]
test_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='mmseg.PascalVOCDataset',
        data_root=_base_.data_root,
        ann_file='ImageSets/Segmentation/val.txt',
        data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass'),
        pipeline=test_pipeline,
    ),
)
test_evaluator = dict(_delete_=True, type='mmseg.IoUMetric', iou_metrics=['mIoU'])
visualizer = dict(type='mmseg.SegLocalVisualizer')

optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=6e-5, weight_decay=0.01),
)
