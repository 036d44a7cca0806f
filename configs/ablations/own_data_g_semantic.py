# The same round in training as well: its instances give the refined offset targets, and its
# semantic map is a second semantic target.
_base_ = './own_data_g_offset.py'

model = dict(distiller=dict(semantic_use='semantic'))
