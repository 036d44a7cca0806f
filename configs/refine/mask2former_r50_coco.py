# Mask2Former on pseudo labels of COCO: mmdet's config with our labels.
_base_ = 'mmdet::mask2former/mask2former_r50_8xb2-lsj-50e_coco.py'

pseudo_labels = dict(
    data_root='',
    ann_file='data/pseudo_labels/p2seg_coco_train2017.json',
    data_prefix=dict(img='data/coco/train2017/'),
)
train_dataloader = dict(dataset=pseudo_labels)
