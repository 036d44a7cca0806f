# Ignore pixels close to two masks of the same class.
_base_ = './refiner_mask-rcnn_tiny_shapes.py'

model = dict(score_weight=0.0, ignore_semantic=None)
