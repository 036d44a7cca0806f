# Cascade Mask R-CNN on pseudo labels of COCO: mmdet's config with our labels.
_base_ = 'mmdet::cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco.py'

pseudo_labels = dict(
    data_root='',
    ann_file='data/pseudo_labels/p2seg_coco_train2017.json',
    data_prefix=dict(img='data/coco/train2017/'),
)
train_dataloader = dict(dataset=pseudo_labels)
