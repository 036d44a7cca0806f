# Rounds: 2 rounds of instance map -> affinity -> S -> instance map in training.
_base_ = './tiny_shapes_s_offset.py'

model = dict(distiller=dict(rounds=2))
