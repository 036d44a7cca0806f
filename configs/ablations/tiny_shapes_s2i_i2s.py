# Tables 3 and 12, S2I + I2S: the affinity loss has a small weight, and no target uses the
# propagated scores S.
_base_ = './tiny_shapes_s2i.py'

model = dict(
    # The second to last map: 32 channels at stride 4; more pixel pairs are too slow on a CPU.
    affinity_head=dict(type='mmp2seg.AffinityHead', in_channels=32, channels=64, in_index=-2),
    mdm_loss=dict(
        lambda_i2s=0.1,
        loss_affinity=dict(type='mmp2seg.AffinityLoss', background='instance'),
    ),
    distiller=dict(
        rounds=1,
        beta=2.0,
        radius=5,  # cells of 4 pixels
        semantic_input='weak',
        network_weight=0.5,
        semantic_use='none',
        propagate_begin=600,  # after the affinity has been learned
        semantic_begin=600,
    ),
)
