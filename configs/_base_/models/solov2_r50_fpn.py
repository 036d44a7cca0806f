# The model of mmdet's SOLOv2, extracted from a complete config, whose data and schedule would
# clash with another `_base_`.
_base_ = []  # must be the first line: an import alone would make this a pure-Python config

import mmengine.hub  # noqa: E402

model = mmengine.hub.get_config('mmdet::solov2/solov2_r50_fpn_1x_coco.py').model
