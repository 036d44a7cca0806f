# The same round in training as well: its instances give the refined offset targets.
_base_ = './hrnet48_voc_g_inference.py'

model = dict(
    distiller=dict(
        instance_scorer=dict(
            _delete_=True,
            affinity=dict(type='mmp2seg.GuidedAffinity', dilations=(1, 2)),
            stride=4,
        ),
        semantic_use='offset',
    )
)
