# Paper: Mask R-CNN with ResNet-101 on pseudo labels of VOC.
_base_ = './mask-rcnn_r50_fpn_voc.py'

model = dict(
    backbone=dict(
        depth=101,
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet101'),
    )
)
