# BESTIE's targets with our grouping at inference; shares the training of BESTIE.
_base_ = './resnet101_voc_s2i.py'

# A region with several points teaches no offset but the refined one; offsets aim at centroids.
labeler = dict(_base_.labeler, conflict='drop', offset_target='centroid')
model = dict(labeler=labeler)
train_pipeline = [
    dict(step, labeler=labeler) if 'labeler' in step else step for step in _base_.train_pipeline
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
