# Pseudo labels from flipped and resized copies of each image, for a trained checkpoint of
# ../p2seg/hrnet48_voc.py. For another network, change the base.
#   python tools/generate_pseudo_labels.py configs/mixing/p2seg_tta_voc.py CHECKPOINT --tta \
#       --out LABELS.json
_base_ = './_base_/p2seg_hrnet48_voc.py'

tta_model = dict(type='mmp2seg.P2SegTTA')
tta_pipeline = [
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
