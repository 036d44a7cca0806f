# Where S is used: the regions of refined offset targets are those of S.
_base_ = './hrnet48_voc_base.py'

model = dict(distiller=dict(rounds=1, beta=1.0, semantic_use='offset'), test_cfg=dict(rounds=0))
