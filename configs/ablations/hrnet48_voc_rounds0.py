# Rounds: no round of instance map -> affinity -> S -> instance map in training.
_base_ = './hrnet48_voc_s_offset.py'

model = dict(distiller=dict(rounds=0))
