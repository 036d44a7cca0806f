# For comparison: mmdet's BoxInst, which learns from the true boxes of COCO without masks.
# It needs scikit-image.
_base_ = 'mmdet::boxinst/boxinst_r50_fpn_ms-90k_coco.py'
