# The upper bound of table 2: the true masks of COCO instead of pseudo labels.
_base_ = './mask-rcnn_r50_fpn_coco.py'

train_dataloader = dict(
    dataset=dict(ann_file='data/coco/annotations/instances_train2017.json'),
)
