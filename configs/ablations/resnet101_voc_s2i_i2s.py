# Tables 3 and 12, S2I + I2S: our network. As in the paper, inference does not use the weak map.
# The other ablations of this network are based on this config.
_base_ = '../p2seg/resnet101_voc.py'

model = dict(test_cfg=dict(use_weak_map=False, network_weight=0.0))
