# SOLOv2 that weights the pseudo masks of VOC by their scores and ignores doubtful pixels.
_base_ = './solov2_r101_fpn_voc.py'

model = dict(
    type='mmp2seg.SOLOv2Refiner',
    score_weight=1.0,
    ignore_border=2,
    ignore_semantic='void',
)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='mmp2seg.LoadPseudoLabels', with_seg=True),
    dict(type='RandomResize', scale=(2048, 512), ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type='RandomCrop', crop_size=(512, 512), recompute_bbox=True),
    dict(type='mmp2seg.FilterPseudoLabels', min_gt_bbox_wh=(1e-2, 1e-2)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='mmp2seg.PackPseudoLabels'),
]
train_dataloader = dict(
    dataset=dict(
        dataset=dict(
            type='mmp2seg.PseudoLabelCocoDataset',
            data_prefix=dict(seg='data/VOC2012/WSSS_maps/'),
            pipeline=train_pipeline,
        ),
    ),
)
