# Photographs of which some objects have true masks (run_ablations.py --photographs --keep-masks):
# efficientnet-lite0_own_data.py in a third of its iterations.
_base_ = '../p2seg/efficientnet-lite0_own_data.py'

max_iters, warm_up = 160, 50
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
model = dict(distiller=dict(propagate_begin=warm_up, semantic_begin=warm_up))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.04, by_epoch=False, begin=0, end=warm_up),
    dict(
        type='CosineAnnealingLR',
        by_epoch=False,
        begin=warm_up,
        end=max_iters,
        T_max=max_iters - warm_up,
    ),
]
