# The upper bound of table 1: the true masks of VOC instead of pseudo labels.
_base_ = './mask-rcnn_r101_fpn_voc.py'

true_masks = 'data/VOC2012/annotations/instances_train_aug.json'
train_dataloader = dict(dataset=dict(dataset=dict(ann_file=true_masks)))
