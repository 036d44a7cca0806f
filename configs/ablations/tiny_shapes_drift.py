# Table 13: points with Gaussian noise of `sigma` pixels; --grid sweeps it (docs/paper_tables.md).
# The images have 128 px instead of about 500, so the sigmas of the paper are divided by 4.
_base_ = './tiny_shapes_s2i_weak_map.py'

drift = dict(type='mmp2seg.DriftPoints', sigma=1.25)
train_pipeline = [*_base_.train_pipeline[:2], drift, *_base_.train_pipeline[2:]]
test_pipeline = [*_base_.test_pipeline[:2], drift, *_base_.test_pipeline[2:]]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_evaluator = [_base_.test_evaluator[0], dict(_base_.test_evaluator[1], match='order')]
