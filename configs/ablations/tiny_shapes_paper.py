# The paper's choices, or the released code's where the paper leaves one open.
_base_ = ['./tiny_shapes_s2i_i2s.py', '../_base_/paper.py']

# released code: a region has at least 50 pixels, in crops of 416 pixels instead of 128
labeler = dict(_base_.paper.labeler, min_region_area=5)
model = dict(_base_.paper, labeler=labeler)
