_base_ = [
    '../_base_/models/p2seg_hrnet48.py',
    '../_base_/datasets/coco_points.py',
    '../_base_/schedules/schedule_200k.py',
    '../_base_/default_runtime.py',
]

num_classes = 80
model = dict(
    # The released code trains on COCO with COCO's own mean and deviation, but tests with
    # ImageNet's. Here the training's hold for both.
    data_preprocessor=dict(mean=[120.105, 114.24, 104.04], std=[59.67, 60.945, 61.71]),
    semantic_head=dict(num_classes=num_classes),
    distiller=dict(propagate_begin=60000, semantic_begin=60000),
)
