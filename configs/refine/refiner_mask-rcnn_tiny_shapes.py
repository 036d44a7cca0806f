# The small Mask R-CNN with all three options for pseudo labels. Each of the configs that end in
# _score, _border and _semantic has one of them; _supervision has the weights of true masks.
_base_ = './mask-rcnn_tiny_shapes.py'

model = dict(
    type='mmp2seg.MaskRCNNRefiner',
    score_weight=1.0,
    ignore_border=1,
    ignore_semantic='disagreement',
)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='mmp2seg.LoadPseudoLabels', with_seg=True),
    dict(
        type='RandomFlip', prob=[0.25, 0.25, 0.25], direction=['horizontal', 'vertical', 'diagonal']
    ),
    dict(type='PhotoMetricDistortion'),
    dict(type='mmp2seg.PackPseudoLabels'),
]
train_dataloader = dict(
    dataset=dict(
        type='mmp2seg.PseudoLabelCocoDataset',
        data_prefix=dict(seg='data/shapes/WSSS_maps/'),
        pipeline=train_pipeline,
    )
)
