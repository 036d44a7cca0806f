# Masks from points by SAM or a relative, for `mmp2seg masks --segmenter sam --weights FOLDER`. The
# weights are a folder, or a name on the Hugging Face hub; needs `pip install 'mmp2seg[sam]'`.
default_scope = 'mmdet'
model = dict(type='mmp2seg.SamPointSegmenter', weights='facebook/sam-vit-huge', choice='exclusive')
# for `mmp2seg refine-labels`: which of SAM's candidates takes the place of a mask of P2Seg
label_refiner = dict(type='mmp2seg.CandidateRefiner', min_iou=0.1, score_weight=0.5)
