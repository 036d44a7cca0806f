# g_clicks, but the affinity is trained by the cross entropy of the scores that it propagates
# between near cells.
_base_ = './own_data_g_clicks.py'

model = dict(
    mdm_loss=dict(loss_affinity=dict(_delete_=True, type='mmp2seg.PropagationLoss', radius=3.0))
)
