# The model of mmdet's BoxInst, extracted from a complete config, whose data and schedule would
# clash with another `_base_`.
_base_ = []  # must be the first line: an import alone would make this a pure-Python config

import mmengine.hub  # noqa: E402

model = mmengine.hub.get_config('mmdet::boxinst/boxinst_r50_fpn_ms-90k_coco.py').model
