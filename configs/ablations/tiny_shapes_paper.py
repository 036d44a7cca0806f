# The paper's settings, or those of the released code where the paper does not state one.
_base_ = ['./tiny_shapes_s2i_i2s.py', '../_base_/paper.py']

# The released code: regions of at least 50 pixels, in crops of 416 pixels; here images have 128.
labeler = dict(_base_.paper.labeler, min_region_area=5)
model = dict(_base_.paper, labeler=labeler)
