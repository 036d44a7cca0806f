# Masks from points alone, with a class head that is first trained on these very images: with
# clicks, then one generation of the segmenter's own maps. For `mmp2seg masks --config`.
_base_ = './efficientnet-lite0.py'

model = dict(
    backbone=dict(out_indices=(2, 3, 4)),
    strides=(8, 16, 32),
    similarity_strides=(16, 32),
)
class_head_training = dict(generations=1, iterations=150, batch_size=8, lr=5e-3, seed=0)
