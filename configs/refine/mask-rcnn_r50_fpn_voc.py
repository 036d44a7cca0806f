# Mask R-CNN on pseudo labels of VOC. The released recipe has a ResNet-101 instead.
_base_ = [
    'mmdet::_base_/models/mask-rcnn_r50_fpn.py',
    '../_base_/datasets/voc_pseudo_instances.py',
    '../_base_/schedules/schedule_refine_12e.py',
    'mmdet::_base_/default_runtime.py',
]

num_classes = 20
model = dict(
    roi_head=dict(
        bbox_head=dict(num_classes=num_classes),
        mask_head=dict(num_classes=num_classes),
    )
)
