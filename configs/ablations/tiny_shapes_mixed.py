# Shapes with a point json, in which some objects have true masks (run_ablations.py --keep-masks):
# tiny_shapes.py in less than a third of its iterations.
_base_ = '../p2seg/tiny_shapes.py'

points = dict(
    type='mmp2seg.PointCocoDataset',
    ann_file='annotations/points_train.json',
    data_prefix=dict(_delete_=True, img='JPEGImages', seg_map='WSSS_maps'),
)
train_dataloader = dict(dataset=points)
test_dataloader = dict(dataset=points)

max_iters, warm_up = 600, 180
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
model = dict(distiller=dict(propagate_begin=warm_up, semantic_begin=warm_up))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=60),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=60, end=max_iters, T_max=max_iters - 60),
]
