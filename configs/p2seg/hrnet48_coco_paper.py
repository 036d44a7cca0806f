# The paper's settings, or those of the released code where the paper does not state one.
_base_ = ['./hrnet48_coco.py', '../_base_/paper.py']

model = _base_.paper
