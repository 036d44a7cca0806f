# Tables 3 and 12, S2I + I2S by the paper's affinity: our network without the
# propagation along the image. As in the paper, inference does not use the weak map.
# The other ablations of this network are based on this config.
_base_ = '../p2seg/hrnet48_voc.py'

model = dict(
    distiller=dict(instance_scorer=None, semantic_use='none'),
    test_cfg=dict(
        decoder=dict(_delete_=True, type='mmp2seg.InstanceDecoder'),
        use_weak_map=False,
        network_weight=0.0,
    ),
)
