# SOLOv2 with ResNet-101 on pseudo labels of COCO.
_base_ = [
    '../_base_/models/solov2_r50_fpn.py',
    '../_base_/datasets/coco_pseudo_instances.py',
    'mmdet::_base_/schedules/schedule_1x.py',
    'mmdet::_base_/default_runtime.py',
]

model = dict(
    backbone=dict(
        depth=101,
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet101'),
    )
)

# mmdet's values for SOLOv2
optim_wrapper = dict(optimizer=dict(lr=0.01), clip_grad=dict(max_norm=35, norm_type=2))

val_evaluator = dict(metric='segm')  # SOLOv2 has no boxes
test_evaluator = val_evaluator
