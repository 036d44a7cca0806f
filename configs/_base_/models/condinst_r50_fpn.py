# The model of mmdet's CondInst. mmdet has it in a whole config only, whose data and schedule would
# clash with those of another `_base_`, so it is taken out of there.
_base_ = []  # this line first: an import alone would make it a pure-Python config

import mmengine.hub  # noqa: E402

name = 'mmdet::condinst/condinst_r50_fpn_ms-poly-90k_coco_instance.py'
model = mmengine.hub.get_config(name).model
