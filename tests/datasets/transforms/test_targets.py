import numpy as np
import pytest

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


def test_a_map_that_did_not_move_with_its_image_is_refused():
    transform = TRANSFORMS.build(
        dict(type='mmp2seg.GeneratePointTargets', labeler=dict(type='mmp2seg.PointPseudoLabeler'))
    )
    results = dict(
        img=np.zeros((4, 6, 3), np.uint8),
        img_path='a.jpg',
        gt_bboxes=PointBoxes(np.zeros((0, 2), dtype=np.float32)),
        gt_bboxes_labels=np.zeros(0, np.int64),
        gt_seg_map=np.zeros((4, 6), np.uint8),
    )
    assert not transform(dict(results))['gt_point_targets'].weight.any()
    with pytest.raises(ValueError, match=r'a.jpg: expected .* size \(4, 6\), got \(6, 4\): a tra'):
        transform({**results, 'gt_seg_map': np.zeros((6, 4), np.uint8)})
