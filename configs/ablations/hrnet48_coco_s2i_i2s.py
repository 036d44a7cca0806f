# Tables 3 and 12, S2I + I2S: all of ours, as the base has it.
_base_ = './hrnet48_coco_base.py'
