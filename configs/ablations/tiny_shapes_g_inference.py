# A round of S2I and I2S at inference alone: instance scores of the network and the weak map, half
# each, propagated along the image. The training is that of s2i.
_base_ = './tiny_shapes_s2i.py'

model = dict(
    test_cfg=dict(
        decoder=dict(
            scorer=dict(affinity=dict(type='mmp2seg.GuidedAffinity', dilations=(1, 2, 4, 8)))
        ),
        use_weak_map=True,
        network_weight=0.5,
    )
)
