# Mosaic and affine augmentation of stage 1: mmp2seg's CachedMosaic and RandomAffine are mmdet's,
# with the weak map moved along.
_base_ = './_base_/p2seg_hrnet48_voc.py'

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='mmp2seg.LoadPointAnnotations'),
    dict(type='mmp2seg.CachedMosaic', img_scale=(416, 416), max_cached_images=20, prob=0.5),
    dict(type='mmp2seg.RandomAffine', max_rotate_degree=10.0, scaling_ratio_range=(0.7, 1.3)),
    dict(type='mmdet.RandomCrop', crop_size=(416, 416), allow_negative_crop=True),
    dict(type='mmdet.RandomFlip', prob=0.5),
    dict(type='mmdet.Pad', size=(416, 416), pad_val=dict(img=(114, 114, 114), seg=255)),
    dict(type='mmp2seg.FindRegions'),
    dict(type='mmp2seg.PackPointInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
