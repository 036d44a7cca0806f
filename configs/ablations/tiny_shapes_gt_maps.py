# Table 9: the true semantic maps instead of the weak ones, in training and at inference.
_base_ = './tiny_shapes_s2i.py'

data_prefix = dict(seg_map='SegmentationClass')
train_dataloader = dict(dataset=dict(data_prefix=data_prefix))
test_dataloader = dict(dataset=dict(data_prefix=data_prefix))
