"""Discs, watershed, GrabCut and the nearest-point split, on small grids and drawn images."""

import numpy as np
import pytest

from mmp2seg.registry import TASK_UTILS
from mmp2seg.segmenters import BASELINES, NearestSplit, PointBaseline, PointSegmentation
from mmp2seg.segmenters.baselines import discs, next_distances

NONE = np.zeros((0, 2))


def two_squares():
    """Return a dark image with two bright squares that touch, and their masks."""
    image = np.full((40, 60, 3), 30, np.uint8)
    masks = np.zeros((2, 40, 60), bool)
    masks[0, 12:28, 12:28] = True
    masks[1, 12:28, 28:44] = True
    image[masks[0]] = (200, 60, 60)
    image[masks[1]] = (60, 60, 200)
    noise = np.random.default_rng(0).integers(0, 12, image.shape)
    return (image + noise).astype(np.uint8), masks


def iou(first, second):
    return (first & second).sum() / (first | second).sum()


def run(rule, image, points_xy, labels, **options):
    return PointBaseline(rule=rule)(
        image, points_xy=np.array(points_xy), labels=np.array(labels), num_classes=3, **options
    )


def test_distances_lie_between_8_pixels_and_half_the_long_side():
    points = np.array([[10.0, 10.0], [13.0, 14.0], [13.0, 34.0], [190.0, 10.0]])
    distances = next_distances(points, (100, 200))
    np.testing.assert_allclose(distances, [8, 8, 20, 100])
    assert next_distances(points[:1], (100, 200)).tolist() == [100]
    assert next_distances(NONE, (100, 200)).tolist() == []
    # a clip of 8 pixels does not exceed half of a small image
    assert next_distances(np.array([[0.5, 0.5], [1.5, 0.5]]), (1, 4)).tolist() == [2, 2]


def test_discs_have_half_the_distance_and_at_most_the_median_as_radius():
    points = np.array([[10.5, 10.5], [20.5, 10.5], [80.5, 10.5]])
    image = np.zeros((21, 100, 3), np.uint8)
    drawn = discs(image, points_xy=points, background_xy=NONE)
    # distances 10, 10 and 50 (half the long side): radii 5, 5 and 10 (the median)
    assert np.flatnonzero(drawn[10] == 1).tolist() == list(range(5, 16))
    assert np.flatnonzero(drawn[10] == 2).tolist() == list(range(16, 26))
    assert np.flatnonzero(drawn[10] == 3).tolist() == list(range(70, 91))
    assert drawn.dtype == np.int32 and drawn[0, 80] == 3 and drawn[0, 10] == 0


def test_a_click_on_background_takes_its_surroundings():
    image = np.zeros((9, 30, 3), np.uint8)
    alone = discs(image, points_xy=np.array([[10.5, 4.5]]), background_xy=NONE)
    with_click = discs(
        image, points_xy=np.array([[10.5, 4.5]]), background_xy=np.array([[20.5, 4.5]])
    )
    assert np.flatnonzero(alone[4]).tolist() == list(range(3, 18))
    assert np.flatnonzero(with_click[4]).tolist() == list(range(5, 16))
    assert with_click.max() == 1


@pytest.mark.parametrize('rule', ['watershed', 'grabcut'])
def test_colour_separates_touching_objects(rule):
    image, masks = two_squares()
    result = run(rule, image, [[20.5, 20.5], [36.5, 20.5]], [2, 0])
    for number, mask in enumerate(masks, start=1):
        assert iou(result.instance_map == number, mask) > 0.8  # lines are up to a pixel off
    assert set(np.unique(result.semantic_map[masks[0]])) <= {0, 1, 3}
    assert result.semantic_map[20, 20] == 3 and result.semantic_map[20, 36] == 1
    assert result.scores.tolist() == [1, 1]


@pytest.mark.parametrize('rule', BASELINES)
def test_a_click_on_background_cuts_off_what_is_wrong(rule):
    image = np.full((40, 60, 3), 30, np.uint8)
    image[5:35, 5:35] = 200
    before = run(rule, image, [[12.5, 20.5]], [0])
    after = run(rule, image, [[12.5, 20.5]], [0], background_xy=np.array([[24.5, 20.5]]))
    assert before.instance_map[20, 24] == 1
    assert after.instance_map[20, 24] == 0 and after.instance_map[20, 12] == 1
    assert after.instance_map.max() == 1


@pytest.mark.parametrize('rule', BASELINES)
def test_results_do_not_depend_on_the_order_of_the_points(rule):
    image, _ = two_squares()
    points = np.array([[20.5, 20.5], [36.6, 20.5], [50.5, 5.5]])  # no pixel halfway
    labels = np.array([0, 1, 2])
    first = run(rule, image, points, labels)
    second = run(rule, image, points[::-1], labels[::-1])
    numbers = np.array([0, 3, 2, 1])
    np.testing.assert_array_equal(first.instance_map, numbers[second.instance_map])
    np.testing.assert_array_equal(first.semantic_map, second.semantic_map)


@pytest.mark.parametrize('rule', BASELINES)
def test_every_valid_point_keeps_its_pixel_and_the_others_get_no_mask(rule):
    image, _ = two_squares()
    points = [[20.5, 20.5], [-3.0, 4.0], [0.2, 0.2], [20.5, 20.5], [59.9, 39.9]]
    result = run(rule, image, points, [1, 0, 2, 1, 0])
    found = [result.instance_map[row, col] for row, col in ((20, 20), (0, 0), (39, 59))]
    assert found == [1, 3, 5]
    assert result.scores.tolist() == [1, 0, 1, 0, 1]
    assert set(np.unique(result.instance_map)) <= {0, 1, 3, 5}


@pytest.mark.parametrize('rule', BASELINES)
def test_the_first_of_several_points_in_a_pixel_keeps_it(rule):
    image, _ = two_squares()
    click = np.array([[20.9, 20.9]])
    result = run(rule, image, [[20.5, 20.5], [20.1, 20.3]], [0, 1], background_xy=click)
    assert result.instance_map[20, 20] == 1


@pytest.mark.parametrize('rule', BASELINES)
def test_nothing_and_the_smallest_image(rule):
    image, _ = two_squares()
    empty = run(rule, image, NONE, np.zeros(0, int), background_xy=np.array([[3.0, 3.0]]))
    assert not empty.instance_map.any() and not empty.semantic_map.any()
    assert empty.instance_map.shape == (40, 60) and empty.scores.shape == (0,)
    tiny = run(rule, image[:1, :1], [[0.5, 0.5]], [1])
    assert tiny.instance_map.tolist() == [[1]] and tiny.semantic_map.tolist() == [[2]]
    assert tiny.semantic_map.dtype == np.uint8


def test_many_points():
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 200, (3000, 2))
    image = rng.integers(0, 255, (200, 200, 3)).astype(np.uint8)
    for rule in ('discs', 'watershed'):
        result = run(rule, image, points, rng.integers(0, 3, 3000))
        assert result.instance_map.max() > 2900


def test_baselines_are_registered():
    method = TASK_UTILS.build(dict(type='mmp2seg.PointBaseline', rule='discs'))
    assert isinstance(method, PointBaseline)
    with pytest.raises(ValueError, match="expected rule to be one of .*'grabcut'.*, got 'snake'"):
        PointBaseline(rule='snake')


SPLIT_MAP = np.array(
    [
        [1, 1, 1, 1, 1, 0, 2],
        [1, 1, 1, 1, 1, 0, 2],
        [0, 0, 0, 0, 0, 255, 2],
    ],
    np.uint8,
)


def test_nearest_split_of_a_given_map():
    points, labels = np.array([[0.5, 0.5], [3.5, 1.5], [6.5, 1.5]]), np.array([0, 0, 1])
    method = NearestSplit()
    assert method.uses_semantic_map
    image = np.zeros((3, 7, 3), np.uint8)
    result = method(image, points_xy=points, labels=labels, num_classes=2, semantic_map=SPLIT_MAP)
    assert result.instance_map.tolist() == [
        [1, 1, 2, 2, 2, 0, 3],
        [1, 1, 2, 2, 2, 0, 3],
        [0, 0, 0, 0, 0, 0, 3],
    ]
    np.testing.assert_array_equal(result.semantic_map, SPLIT_MAP)
    assert result.scores.tolist() == [1, 1, 1]
    with pytest.raises(ValueError, match='expected a semantic map, got none'):
        method(image, points_xy=points, labels=labels, num_classes=2)


def test_nearest_split_of_the_best_guesses_of_a_method():
    unsure = np.where(SPLIT_MAP == 1, 255, SPLIT_MAP).astype(np.uint8)

    def method(image_rgb, *, points_xy, labels, num_classes, background_xy=None):
        nothing = np.zeros(SPLIT_MAP.shape, np.int32)
        return PointSegmentation(nothing, unsure, np.zeros(1), semantic_argmax=SPLIT_MAP)

    split = NearestSplit(method=method)
    assert not split.uses_semantic_map
    result = split(
        np.zeros((3, 7, 3), np.uint8),
        points_xy=np.array([[0.5, 0.5]]),
        labels=np.array([0]),
        num_classes=2,
    )
    np.testing.assert_array_equal(result.instance_map == 1, SPLIT_MAP == 1)


def test_nearest_split_builds_its_method():
    split = TASK_UTILS.build(
        dict(type='mmp2seg.NearestSplit', method=dict(type='mmp2seg.PointBaseline', rule='discs'))
    )
    assert isinstance(split.method, PointBaseline)
    result = split(
        np.zeros((9, 30, 3), np.uint8),
        points_xy=np.array([[5.5, 4.5], [15.5, 4.5]]),
        labels=np.array([0, 0]),
        num_classes=1,
    )
    assert np.flatnonzero(result.instance_map[4] == 1).tolist() == list(range(11))
    assert np.flatnonzero(result.instance_map[4] == 2).tolist() == list(range(11, 21))


def test_a_point_on_the_edge_is_on_the_last_pixel():
    image, _ = two_squares()
    found = run('discs', image, [[60, 40], [20, 20]], [0, 1])
    assert found.instance_map[39, 59] == 1
