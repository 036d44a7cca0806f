# S, the scores propagated by the affinity, gives the regions of the refined offset targets. The
# sweeps of table 10 (beta) and of the rounds start from this config (docs/paper_tables.md).
_base_ = './tiny_shapes_s2i_i2s.py'

model = dict(distiller=dict(rounds=1, beta=1.0, semantic_use='offset'), test_cfg=dict(rounds=0))
