# BESTIE's targets with our grouping at inference. The training is that of BESTIE.
_base_ = './resnet101_voc_s2i.py'

# A region with several points has no initial offset target; offsets aim at centroids.
model = dict(labeler=dict(conflict='drop', offset_target='centroid'))
