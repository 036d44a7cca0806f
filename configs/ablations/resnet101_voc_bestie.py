# Table 1, BESTIE: its targets, and the grouping by landing alone.
_base_ = './resnet101_voc_bestie_targets.py'

labeler = dict(_base_.labeler, landing_weight=1.0, anchor='point')
model = dict(labeler=labeler)
train_pipeline = [
    dict(step, labeler=labeler) if 'labeler' in step else step for step in _base_.train_pipeline
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
