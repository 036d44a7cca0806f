# The released recipe for COCO: 200 000 iterations on 8 GPUs x 1 image.
_base_ = './schedule_50k.py'

max_iters = 200000  # paper
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
# A list replaces the whole list of the base; the warm-up is the same as for VOC.
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=2000),  # paper
    dict(type='PolyLR', power=0.9, eta_min=0.0, by_epoch=False, begin=0, end=max_iters),  # paper
]
