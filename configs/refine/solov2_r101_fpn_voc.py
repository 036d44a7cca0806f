# Paper, table 4: SOLOv2 on pseudo labels of VOC.
_base_ = './solov2_r50_fpn_voc.py'

model = dict(
    backbone=dict(
        depth=101,
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet101'),
    )
)
