# SOLOv2 on pseudo labels of VOC, with Mask R-CNN's schedule.
_base_ = [
    '../_base_/models/solov2_r50_fpn.py',
    '../_base_/datasets/voc_pseudo_instances.py',
    '../_base_/schedules/schedule_refine_12e.py',
    'mmdet::_base_/default_runtime.py',
]

model = dict(mask_head=dict(num_classes=20))

# mmdet's values for SOLOv2
optim_wrapper = dict(optimizer=dict(lr=0.01), clip_grad=dict(max_norm=35, norm_type=2))

# SOLOv2 has no boxes
val_evaluator = [
    dict(type='CocoMetric', ann_file=_base_.val_truth, metric='segm'),
    *_base_.val_evaluator[1:],
]
test_evaluator = val_evaluator
