# S, the scores propagated by the affinity, is not used. The affinity loss only shapes the features.
_base_ = './hrnet48_voc_s_offset.py'

model = dict(distiller=dict(semantic_use='none'))
