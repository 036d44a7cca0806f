# CondInst on pseudo labels of COCO: mmdet's config with our labels.
# Its pipeline reads only polygons, so this dataset converts the masks to polygons.
_base_ = 'mmdet::condinst/condinst_r50_fpn_ms-poly-90k_coco_instance.py'

pseudo_labels = dict(
    type='mmp2seg.PseudoLabelCocoDataset',
    data_root='',
    ann_file='data/pseudo_labels/p2seg_coco_train2017.json',
    data_prefix=dict(img='data/coco/train2017/'),
)
train_dataloader = dict(dataset=pseudo_labels)
