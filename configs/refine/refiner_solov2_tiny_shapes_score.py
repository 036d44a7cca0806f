# Weight the mask loss of an instance by its score.
_base_ = './refiner_solov2_tiny_shapes.py'

model = dict(ignore_border=0, ignore_semantic=None)
