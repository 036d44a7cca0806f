# The paper's choices, and those of the released code where the paper leaves one open.
_base_ = ['../p2seg/resnet101_voc.py', '../_base_/paper.py']

model = _base_.paper
