# Where S, the scores propagated by the affinity, is used: refined offset targets take the regions
# of S. Also the start of the sweeps of table 10 (beta) and of the rounds (docs/paper_tables.md).
_base_ = './hrnet48_voc_s2i_i2s.py'

model = dict(distiller=dict(rounds=1, beta=1.0, semantic_use='offset'), test_cfg=dict(rounds=0))
