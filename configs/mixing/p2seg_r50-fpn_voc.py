# P2Seg on mmdet's ResNet-50 and FPN; the heads read the map at stride 4.
_base_ = './_base_/p2seg_hrnet48_voc.py'

head = dict(in_channels=256)
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmdet.ResNet',
        depth=50,
        norm_cfg=dict(type='SyncBN', requires_grad=True),
        norm_eval=False,
        # The file that 'torchvision://resnet50' refers to; that name works only with torchvision.
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://download.pytorch.org/models/resnet50-0676ba61.pth',
        ),
    ),
    neck=dict(type='mmdet.FPN', in_channels=[256, 512, 1024, 2048], out_channels=256, num_outs=4),
    semantic_head=head,
    offset_head=head,
    affinity_head=head,
)
find_unused_parameters = True  # no head reads the coarser outputs of the FPN
