# Weight the losses of an instance's mask and box by its score.
_base_ = './refiner_mask-rcnn_tiny_shapes.py'

model = dict(ignore_border=0, ignore_semantic=None)
