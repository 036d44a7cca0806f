# Results on COCO's test-dev, whose truth is not public: tools/test.py writes
# <outfile_prefix>.segm.json and .bbox.json, for COCO's evaluation server.
_base_ = './mask-rcnn_r50_fpn_coco.py'

images = 'data/coco/annotations/image_info_test-dev2017.json'
test_dataloader = dict(
    dataset=dict(ann_file=images, data_prefix=dict(img='data/coco/test2017/')),
)
test_evaluator = dict(
    ann_file=images,
    format_only=True,
    outfile_prefix='work_dirs/mask-rcnn_r50_fpn_coco_test-dev/test-dev2017',
)
