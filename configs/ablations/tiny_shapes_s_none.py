# Where S, the scores propagated by the affinity, is used: nowhere. The affinity loss shapes the
# features alone.
_base_ = './tiny_shapes_s_offset.py'

model = dict(distiller=dict(semantic_use='none'))
