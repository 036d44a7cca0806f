# Table 13, sigma 10: points off by 10 px in images of about 500 px, 2.5 px in these of 128.
_base_ = './tiny_shapes_drift5.py'

drift = dict(_base_.drift, sigma=2.5)
train_pipeline = [drift if step == _base_.drift else step for step in _base_.train_pipeline]
test_pipeline = [drift if step == _base_.drift else step for step in _base_.test_pipeline]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
