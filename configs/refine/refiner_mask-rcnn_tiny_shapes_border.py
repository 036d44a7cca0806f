# Ignore pixels near the border of two masks of a class.
_base_ = './refiner_mask-rcnn_tiny_shapes.py'

model = dict(score_weight=0.0, ignore_semantic=None)
