import numpy as np
import pytest

from mmp2seg.registry import TRANSFORMS
from mmp2seg.structures import PointBoxes

RESULTS = dict(
    img=np.zeros((1, 6, 3), np.uint8),
    img_path='a.jpg',
    gt_bboxes=PointBoxes(np.array([[0.5, 0.5], [2.5, 0.5], [5.5, 0.5]], dtype=np.float32)),
    gt_bboxes_labels=np.array([0, 0, 1]),
    gt_seg_map=np.array([[1, 1, 1, 0, 2, 2]], dtype=np.uint8),
)


def _find(**changes):
    return TRANSFORMS.build(dict(type='mmp2seg.FindRegions'))({**RESULTS, **changes})['gt_regions']


def test_regions_are_those_of_the_points_classes():
    regions = _find()
    assert regions.region_map.tolist() == [[1, 1, 1, 0, 2, 2]]
    assert (regions.labels.tolist(), regions.areas.tolist()) == ([0, 1], [3, 2])
    points = RESULTS['gt_bboxes'][:2]
    alone = _find(gt_bboxes=points, gt_bboxes_labels=np.array([0, 0]))
    assert alone.region_map.tolist() == [[1, 1, 1, 0, 0, 0]]


def test_a_map_that_did_not_move_with_its_image_is_refused():
    with pytest.raises(ValueError, match=r'a.jpg: expected .* size \(1, 6\), got \(6, 1\): a tra'):
        _find(gt_seg_map=np.zeros((6, 1), np.uint8))


def test_a_point_outside_is_refused():
    points = PointBoxes(np.array([[6.0, 0.5]], dtype=np.float32))
    with pytest.raises(ValueError, match=r'a.jpg: expected points inside the 6 x 1 map, got \[6'):
        _find(gt_bboxes=points, gt_bboxes_labels=np.array([0]))


def test_an_image_without_points_has_no_regions():
    points = PointBoxes(np.zeros((0, 2), dtype=np.float32))
    regions = _find(gt_bboxes=points, gt_bboxes_labels=np.zeros(0, np.int64))
    assert not regions.region_map.any() and len(regions.labels) == 0


def test_the_old_name_still_works_and_says_what_to_write():
    old = dict(
        type='mmp2seg.GeneratePointTargets',
        labeler=dict(type='mmp2seg.PointPseudoLabeler', conflict='drop'),
    )
    with pytest.warns(DeprecationWarning, match=r"write dict\(type='mmp2seg.FindRegions'\)"):
        transform = TRANSFORMS.build(old)
    assert transform(dict(RESULTS))['gt_regions'].region_map.tolist() == [[1, 1, 1, 0, 2, 2]]
