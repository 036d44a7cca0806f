# The model of mmdet's BoxInst. mmdet has it in a whole config only, whose data and schedule would
# clash with those of another `_base_`, so it is taken out of there.
_base_ = []  # this line first: an import alone would make it a pure-Python config

import mmengine.hub  # noqa: E402

model = mmengine.hub.get_config('mmdet::boxinst/boxinst_r50_fpn_ms-90k_coco.py').model
