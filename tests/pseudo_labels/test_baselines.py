import numpy as np
import pytest

from mmp2seg.codecs import PointPseudoLabeler
from mmp2seg.pseudo_labels.baselines import baseline_instances

# one region of class 0 with two points, one of class 1, and one of class 0 without a point
MAP = np.array(
    [
        [1, 1, 1, 1, 0, 1],
        [1, 1, 1, 1, 0, 0],
        [0, 0, 0, 0, 0, 0],
        [2, 2, 0, 255, 255, 0],
    ],
    dtype=np.uint8,
)
POINTS = np.array([[0.5, 0.5], [3.5, 1.5], [1.5, 3.5]], dtype=np.float32)
LABELS = np.array([0, 0, 1])


def instances(points=POINTS, labels=LABELS, semantic_map=MAP, *, rule, **labeler):
    labeler = PointPseudoLabeler(**{'max_snap_distance': 0, **labeler})
    return baseline_instances(points, labels, semantic_map, rule=rule, labeler=labeler)


def drawn(result):
    """Every mask as its rows of digits, the number of the point where the mask is."""
    return [
        [''.join(str(kept) if pixel else '.' for pixel in row) for row in mask]
        for mask, kept in zip(result.masks.tolist(), result.kept.tolist())
    ]


def test_component_gives_each_point_the_whole_region():
    result = instances(rule='component')
    assert drawn(result) == [
        ['0000..', '0000..', '......', '......'],
        ['1111..', '1111..', '......', '......'],
        ['......', '......', '......', '22....'],
    ]
    assert result.scores.tolist() == [1, 1, 1]
    assert result.dropped.tolist() == [] and result.reasons == []
    assert (result.semantic_map.numpy() == MAP).all()


def test_nearest_splits_the_region():
    result = instances(rule='nearest')
    assert drawn(result) == [
        ['00....', '00....', '......', '......'],
        ['..11..', '..11..', '......', '......'],
        ['......', '......', '......', '22....'],
    ]


def test_nearest_is_the_initial_target():
    labeler = PointPseudoLabeler()
    result = baseline_instances(POINTS, LABELS, MAP, rule='nearest', labeler=labeler)
    instance_map = labeler.encode(POINTS, LABELS, MAP).instance_map
    for mask, point in zip(result.masks, result.kept):
        assert (mask == (instance_map == point + 1)).all()


@pytest.mark.parametrize('rule', ['component', 'nearest'])
def test_every_point_is_kept_or_dropped_with_its_reason(rule):
    points = [[0.5, 0.5], [9.5, 0.5], [0.5, 0.5], [1.5, 2.5], [3.5, 1.5], [-1, 0.5]]
    result = instances(np.array(points), np.array([0, 0, 0, 0, 0, 0]), rule=rule)
    assert result.kept.tolist() == [0, 4]
    assert result.dropped.tolist() == [1, 2, 3, 5]
    assert result.reasons == ['outside_image', 'duplicate', 'no_region', 'outside_image']


def test_a_point_that_wins_no_pixel():
    # both lie in one pixel, whose centre is nearer to the first
    points, labels = np.array([[1.5, 1.5], [1.6, 1.5]]), np.array([0, 0])
    semantic_map = np.zeros((4, 4), dtype=np.uint8)
    semantic_map[1, 1] = 1
    split = instances(points, labels, semantic_map, rule='nearest')
    assert (split.kept.tolist(), split.reasons) == ([0], ['no_pixels'])
    whole = instances(points, labels, semantic_map, rule='component')
    assert (whole.kept.tolist(), whole.reasons) == ([0, 1], [])


def test_equal_points_of_two_classes_are_no_duplicates():
    points, labels = np.array([[0.5, 0.5], [0.5, 0.5]]), np.array([0, 1])
    result = instances(points, labels, rule='nearest', max_snap_distance=4)
    assert result.kept.tolist() == [0, 1]


@pytest.mark.parametrize('rule', ['component', 'nearest'])
def test_no_points(rule):
    result = instances(np.zeros((0, 2)), np.zeros(0), rule=rule)
    assert result.masks.shape == (0, 4, 6)
    assert (len(result.kept), len(result.dropped), result.reasons) == (0, 0, [])


def test_unknown_rule():
    with pytest.raises(ValueError, match="expected rule to be one of .*, got 'largest'"):
        instances(rule='largest')
