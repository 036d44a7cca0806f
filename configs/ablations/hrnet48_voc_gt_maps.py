# Table 9: the true semantic maps instead of the weak ones, in training and at inference.
_base_ = './hrnet48_voc_s2i_i2s.py'

data_prefix = dict(seg_map='SegmentationClass')
train_dataloader = dict(dataset=dict(data_prefix=data_prefix))
test_dataloader = dict(dataset=dict(data_prefix=data_prefix))
