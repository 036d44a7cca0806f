# The model of mmdet's CondInst, extracted from a complete config, whose data and schedule would
# clash with another `_base_`.
_base_ = []  # must be the first line: an import alone would make this a pure-Python config

import mmengine.hub  # noqa: E402

name = 'mmdet::condinst/condinst_r50_fpn_ms-poly-90k_coco_instance.py'
model = mmengine.hub.get_config(name).model
