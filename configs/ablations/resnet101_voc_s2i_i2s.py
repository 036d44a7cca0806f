# Tables 3 and 12, S2I + I2S: our network, which alone decides at inference, as in the paper.
# The other ablations of this network start here.
_base_ = '../p2seg/resnet101_voc.py'

model = dict(test_cfg=dict(use_weak_map=False, network_weight=0.0))
