# BESTIE's targets with our grouping at inference; shares the training of BESTIE.
_base_ = './tiny_shapes_s2i.py'

# A region with several points teaches no offset but the refined one; offsets aim at centroids.
model = dict(labeler=dict(conflict='drop', offset_target='centroid'))
