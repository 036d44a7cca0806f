# Tables 3 and 12, only S2I, on photographs (run_ablations.py --photographs). As in the paper,
# inference does not use the weak map. The other ablations on photographs are based on this config.
_base_ = '../p2seg/efficientnet-lite0_own_data.py'

model = dict(
    affinity_head=None,
    distiller=dict(_delete_=True, type='mmp2seg.MutualDistiller', rounds=0),
    test_cfg=dict(
        decoder=dict(_delete_=True, type='mmp2seg.InstanceDecoder'),
        use_weak_map=False,
        network_weight=0.0,
    ),
)
