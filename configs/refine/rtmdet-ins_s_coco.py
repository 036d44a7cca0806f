# RTMDet-Ins on pseudo labels of COCO: mmdet's config with our labels.
# Its pipeline reads only polygons, so this dataset converts the masks to polygons.
_base_ = 'mmdet::rtmdet/rtmdet-ins_s_8xb32-300e_coco.py'

pseudo_labels = dict(
    type='mmp2seg.PseudoLabelCocoDataset',
    data_root='',
    ann_file='data/pseudo_labels/p2seg_coco_train2017.json',
    data_prefix=dict(img='data/coco/train2017/'),
)
train_dataloader = dict(dataset=pseudo_labels)
