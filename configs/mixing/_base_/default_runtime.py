# Runtime for configs with any default scope.
_base_ = '../../_base_/default_runtime.py'

visualizer = dict(type='mmdet.DetLocalVisualizer')
