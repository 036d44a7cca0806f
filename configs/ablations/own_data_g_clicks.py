# g_semantic with an affinity head, whose rows of the clicks are a factor of the instance scores at
# inference: the settings of ../p2seg/efficientnet-lite0_own_data.py.
_base_ = './own_data_g_semantic.py'

model = dict(
    affinity_head=dict(
        _delete_=True, type='mmp2seg.AffinityHead', in_channels=64, channels=64, in_index=-1
    ),
    mdm_loss=dict(
        lambda_i2s=0.1,
        loss_affinity=dict(type='mmp2seg.AffinityLoss', background='instance'),
    ),
    test_cfg=dict(decoder=dict(scorer=dict(click_weight=0.1))),
)
