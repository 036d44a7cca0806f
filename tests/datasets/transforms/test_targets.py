import numpy as np

from mmp2seg.registry import TRANSFORMS
from mmp2seg.structures import PointBoxes


def test_targets_are_the_labelers():
    transform = TRANSFORMS.build(
        dict(
            type='mmp2seg.GeneratePointTargets',
            labeler=dict(type='mmp2seg.PointPseudoLabeler', conflict='drop'),
        )
    )
    points = np.array([[0.5, 0.5], [2.5, 0.5], [5.5, 0.5]], dtype=np.float32)
    results = dict(
        gt_bboxes=PointBoxes(points),
        gt_bboxes_labels=np.array([0, 0, 1]),
        gt_seg_map=np.array([[1, 1, 1, 0, 2, 2]], dtype=np.uint8),
    )
    targets = transform(results)['gt_point_targets']
    # 'drop' shows that the config reached the labeler: the first region holds two points.
    assert targets.instance_map.tolist() == [[0, 0, 0, 0, 3, 3]]
    assert targets.offset[0].tolist() == [[0, 0, 0, 0, 1, 0]]
