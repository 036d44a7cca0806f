# Tables 3 and 12, S2I alone: no affinity, and no S; what the base has.
_base_ = './tiny_shapes_base.py'
