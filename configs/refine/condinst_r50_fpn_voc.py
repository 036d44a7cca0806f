# CondInst on pseudo labels of VOC: mmdet's model, our data and schedule.
_base_ = [
    '../_base_/models/condinst_r50_fpn.py',
    '../_base_/datasets/voc_pseudo_instances.py',
    '../_base_/schedules/schedule_refine_12e.py',
    'mmdet::_base_/default_runtime.py',
]

model = dict(bbox_head=dict(num_classes=20))

optim_wrapper = dict(optimizer=dict(lr=0.01))  # mmdet's value for CondInst
