# Ignore pixels where the pseudo masks and the weak semantic map disagree.
_base_ = './refiner_mask-rcnn_tiny_shapes.py'

model = dict(score_weight=0.0, ignore_border=0)
