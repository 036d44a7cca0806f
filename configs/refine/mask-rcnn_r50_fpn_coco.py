# Mask R-CNN on pseudo labels of COCO. The released recipe has a ResNeXt-101 instead.
_base_ = [
    'mmdet::_base_/models/mask-rcnn_r50_fpn.py',
    '../_base_/datasets/coco_pseudo_instances.py',
    'mmdet::_base_/schedules/schedule_1x.py',  # paper: 12 epochs on 8 GPUs x 2
    'mmdet::_base_/default_runtime.py',
]
