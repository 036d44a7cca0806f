# g_semantic with an affinity head, whose rows of the clicks are a factor of the instance scores at
# inference.
_base_ = './tiny_shapes_g_semantic.py'

model = dict(
    # The second to last map: 32 channels at stride 4; more pixel pairs are too slow on a CPU.
    affinity_head=dict(type='mmp2seg.AffinityHead', in_channels=32, channels=64, in_index=-2),
    mdm_loss=dict(
        lambda_i2s=0.1,
        loss_affinity=dict(type='mmp2seg.AffinityLoss', background='instance'),
    ),
    test_cfg=dict(decoder=dict(scorer=dict(click_weight=0.1))),
)
