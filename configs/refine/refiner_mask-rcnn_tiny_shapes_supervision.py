# True masks among the pseudo labels weigh twice as much (docs/mixed_supervision.md).
_base_ = './refiner_mask-rcnn_tiny_shapes.py'

model = dict(
    score_weight=0.0, ignore_border=0, ignore_semantic=None, supervision_weights=dict(mask=2.0)
)
