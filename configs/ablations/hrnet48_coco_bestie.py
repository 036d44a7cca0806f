# Tables 3 and 12, BESTIE: its targets, and the grouping by landing alone.
_base_ = './hrnet48_coco_bestie_targets.py'

labeler = dict(_base_.labeler, landing_weight=1.0, anchor='point')
model = dict(labeler=labeler)
train_pipeline = [
    dict(step, labeler=labeler) if 'labeler' in step else step for step in _base_.train_pipeline
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
