# The paper's choices, or the released code's where the paper leaves one open.
_base_ = ['../p2seg/hrnet48_coco.py', '../_base_/paper.py']

model = _base_.paper
