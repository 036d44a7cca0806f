# Tables 3 and 12, BESTIE: a region with several points has no initial offset target, offsets aim at
# centroids, and pixels are grouped only by where their offsets land.
_base_ = './own_data_s2i.py'

model = dict(
    labeler=dict(conflict='drop', offset_target='centroid'),
    test_cfg=dict(decoder=dict(landing_weight=1.0, anchor='point')),
)
