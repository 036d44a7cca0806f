# What the ablations start from: ours, but the network alone decides at inference, as in the paper.
_base_ = '../p2seg/hrnet48_coco.py'

model = dict(test_cfg=dict(use_weak_map=False, network_weight=0.0))
