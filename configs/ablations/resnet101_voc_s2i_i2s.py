# Tables 3 and 12, S2I + I2S: all of ours, as the base has it.
_base_ = './resnet101_voc_base.py'
