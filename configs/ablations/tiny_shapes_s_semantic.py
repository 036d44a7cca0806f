# S, the scores propagated by the affinity, is used in the offset targets and as a second semantic
# target.
_base_ = './tiny_shapes_s_offset.py'

model = dict(distiller=dict(semantic_use='semantic'))
