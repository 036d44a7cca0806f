_base_ = [
    '../_base_/models/p2seg_hrnet48.py',
    '../_base_/datasets/voc_points.py',
    '../_base_/schedules/schedule_50k.py',
    '../_base_/default_runtime.py',
]
