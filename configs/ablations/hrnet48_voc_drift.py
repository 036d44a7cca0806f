# Table 13: points with Gaussian noise of `sigma` pixels; --grid sweeps it (docs/paper_tables.md).
_base_ = './hrnet48_voc_s2i_i2s_weak_map.py'

drift = dict(type='mmp2seg.DriftPoints', sigma=5)
train_pipeline = [*_base_.train_pipeline[:2], drift, *_base_.train_pipeline[2:]]
test_pipeline = [*_base_.test_pipeline[:2], drift, *_base_.test_pipeline[2:]]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
