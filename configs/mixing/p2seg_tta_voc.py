# Pseudo labels from flipped and resized copies of each image: for a trained checkpoint of
# ../p2seg/hrnet48_voc.py. Another network: change the base.
#   python tools/generate_pseudo_labels.py configs/mixing/p2seg_tta_voc.py CHECKPOINT --out FILE
_base_ = './_base_/p2seg_hrnet48_voc.py'

model = dict(
    _delete_=True,
    type='mmp2seg.P2SegTTA',
    module={**_base_.model, 'labeler': _base_.labeler},
)
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='mmp2seg.LoadPointAnnotations', with_seg=True, allow_outside=True),
    dict(
        type='TestTimeAug',
        transforms=[
            [
                dict(type='mmdet.Resize', scale_factor=factor, keep_ratio=True)
                for factor in (1.0, 0.75, 1.25)
            ],
            [dict(type='mmdet.RandomFlip', prob=prob) for prob in (0.0, 1.0)],
            [dict(type='mmp2seg.PackPointInputs')],
        ],
    ),
]
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
