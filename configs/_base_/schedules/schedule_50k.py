# The released recipe for VOC: 50 000 iterations on 8 GPUs x 1 image.
max_iters = 50000  # paper
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=max_iters)
val_cfg = None
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='Adam', lr=5e-5, weight_decay=0.0),  # paper
)
# Where their spans overlap, the two factors multiply.
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=2000),  # paper
    dict(type='PolyLR', power=0.9, eta_min=0.0, by_epoch=False, begin=0, end=max_iters),  # paper
]
auto_scale_lr = dict(enable=False, base_batch_size=8)
