# The model of mmdet's SOLOv2. mmdet has it in a whole config only, whose data and schedule would
# clash with those of another `_base_`, so it is taken out of there.
_base_ = []  # this line first: an import alone would make it a pure-Python config

import mmengine.hub  # noqa: E402

model = mmengine.hub.get_config('mmdet::solov2/solov2_r50_fpn_1x_coco.py').model
