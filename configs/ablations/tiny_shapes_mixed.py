# Shapes with a point json, in which some objects have true masks (run_ablations.py --keep-masks).
_base_ = '../p2seg/tiny_shapes.py'

points = dict(
    type='mmp2seg.PointCocoDataset',
    ann_file='annotations/points_train.json',
    data_prefix=dict(_delete_=True, img='JPEGImages', seg_map='WSSS_maps'),
)
train_dataloader = dict(dataset=points)
test_dataloader = dict(dataset=points)
