# The same round in training as well: its instances give the refined offset targets, and its
# semantic map is a second semantic target.
_base_ = './hrnet48_voc_g_offset.py'

model = dict(distiller=dict(semantic_use='semantic'))
