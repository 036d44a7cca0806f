# Methods for tools/analysis_tools/eval_point_segmentation.py: baselines, the point segmenter, each
# of its steps switched off, random weights, and a class head that is trained on the images.
_base_ = '../_base_/models/point_segmenter_efficientnet-lite0.py'

segmenter = _base_.point_segmenter
random_backbone = dict(type='mmp2seg.EfficientNetLite', arch='lite0', out_indices=(3, 4))
with_head = dict(
    segmenter,
    backbone=dict(segmenter['backbone'], out_indices=(2, 3, 4)),
    strides=(8, 16, 32),
    similarity_strides=(16, 32),
)
methods = dict(
    discs=dict(type='mmp2seg.PointBaseline', rule='discs'),
    watershed=dict(type='mmp2seg.PointBaseline', rule='watershed'),
    grabcut=dict(type='mmp2seg.PointBaseline', rule='grabcut'),
    nearest=dict(type='mmp2seg.NearestSplit'),
    segmenter=segmenter,
    random_weights=dict(segmenter, backbone=random_backbone),
    no_size_prior=dict(segmenter, use_size_prior=False),
    no_random_walker=dict(segmenter, strength=None),
    no_guided=dict(segmenter, use_guided=False),
    not_connected=dict(segmenter, connected=False),
    fixed_scale=dict(segmenter, spacing=1.0),
    class_head_clicks=dict(with_head, class_head_training=dict(generations=0)),
    class_head=dict(with_head, class_head_training=dict(generations=1)),
)
