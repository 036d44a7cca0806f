# Variant of ../../p2seg/hrnet48_voc.py for configs with any default scope.
_base_ = [
    '../../_base_/models/p2seg_hrnet48.py',
    './voc_points.py',
    '../../_base_/schedules/schedule_50k.py',
    '../../_base_/default_runtime.py',
]
