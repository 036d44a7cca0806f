import numpy as np
import pytest

from mmp2seg.ops.adjacency import adjacent_same_class, touching_objects
from mmp2seg.ops.rle import encode_rle


def masks_of(rows):
    """Return a mask per letter of a drawing, in alphabetical order."""
    grid = np.array([list(row) for row in rows])
    letters = sorted(set(grid.ravel()) - {'.'})
    return np.stack([grid == letter for letter in letters])


@pytest.mark.parametrize(
    'row, gap, expected',
    [
        ('ab.....', 1, True),
        ('a.b....', 1, False),
        ('a.b....', 2, True),
        ('a..b...', 2, False),
        ('a..b...', 3, True),
        ('ab.....', 0, False),
    ],
)
def test_distance_along_a_row_and_a_column(row, gap, expected):
    masks = masks_of([row, '.......'])
    for view in (masks, masks[:, :, ::-1], masks.transpose(0, 2, 1), masks[:, :, ::-1][:, ::-1]):
        assert touching_objects(view, [3, 3], gap=gap).tolist() == [expected] * 2


def test_distance_is_chebyshev():
    assert touching_objects(masks_of(['a..', '...', '..b']), [0, 0], gap=2).all()
    assert not touching_objects(masks_of(['a..', '...', '..b']), [0, 0], gap=1).any()


def test_boxes_that_meet_are_not_enough():
    # b lies in the box of a, three pixels away from it
    masks = masks_of(['aaaaaaa', 'a......', 'a......', 'a......', 'a...b..'])
    assert not touching_objects(masks, [0, 0], gap=3).any()
    assert touching_objects(masks, [0, 0], gap=4).all()


def test_overlapping_masks_touch_at_any_gap():
    masks = np.ones((2, 3, 3), dtype=bool)
    assert touching_objects(masks, [0, 0], gap=0).all()


def test_only_objects_of_the_same_class_count():
    masks = masks_of(['abc', '...'])
    assert touching_objects(masks, [0, 1, 0], gap=1).tolist() == [False] * 3
    assert touching_objects(masks, [0, 1, 1], gap=1).tolist() == [False, True, True]


def test_no_masks_and_empty_masks():
    assert touching_objects(np.zeros((0, 4, 4), bool), []).tolist() == []
    masks = np.stack([np.zeros((2, 2), bool), np.ones((2, 2), bool)])
    assert touching_objects(masks, [0, 0]).tolist() == [False, False]


def test_agrees_with_all_pairwise_distances_and_rle():
    rng = np.random.default_rng(0)
    for _ in range(20):
        masks = rng.random((4, 9, 9)) < 0.04
        labels = rng.integers(0, 2, 4)
        expected = np.zeros(4, dtype=bool)
        for i in range(4):
            for j in range(4):
                if i != j and labels[i] == labels[j] and masks[i].any() and masks[j].any():
                    steps = np.abs(np.argwhere(masks[i])[:, None] - np.argwhere(masks[j])[None])
                    expected[i] |= steps.max(axis=-1).min() <= 2
        assert touching_objects(masks, labels).tolist() == expected.tolist()
        rles = [encode_rle(mask) for mask in masks]
        assert touching_objects(rles, labels).tolist() == expected.tolist()


def test_agrees_with_the_rule_for_instance_maps():
    instance_map = np.random.default_rng(1).integers(0, 40, (12, 12)) % 7
    labels = np.array([0, 1, 0, 2, 1, 3])
    masks = np.stack([instance_map == index for index in range(1, 7)])
    for gap in (1, 2):
        expected = adjacent_same_class(instance_map, labels, gap=gap)
        assert touching_objects(masks, labels, gap=gap).tolist() == expected.tolist()


def bands(rows):
    """Return the masks and the void pixels (``+``) of a drawing."""
    masks = masks_of([row.replace('+', '.') for row in rows])
    return masks, np.array([list(row) for row in rows]) == '+'


@pytest.mark.parametrize(
    ('row', 'expected'),
    [
        ('aa+++++bb', True),  # VOC's band: 6 steps
        ('aa++++++bb', False),  # 7
        ('aa++.++bb', False),  # background between
        ('aa.....bb', False),
        ('aa.bb', True),  # within the gap of 2
    ],
)
def test_objects_across_a_void_band(row, expected):
    for rows in ([row], [row[::-1]], [*row]):
        masks, void = bands(rows)
        for shifted in range(3):  # also with an object away from the border
            masks, void = np.pad(masks, ((0, 0), (0, 1), (1, 0))), np.pad(void, ((0, 1), (1, 0)))
            found = touching_objects(masks, [0, 0], void=void)
            assert found.tolist() == [expected] * 2, shifted


def test_a_void_path_may_bend_but_not_be_long():
    masks, void = bands(['a+...', '.+++b', '.....'])
    assert touching_objects(masks, [0, 0], gap=0, void=void, void_gap=4).all()
    assert not touching_objects(masks, [0, 0], gap=0, void=void, void_gap=3).any()
    masks, void = bands(['a.b', '+.+', '.+.'])  # 2 px apart, 4 steps
    assert touching_objects(masks, [0, 0], gap=0, void=void, void_gap=4).all()
    assert not touching_objects(masks, [0, 0], gap=0, void=void, void_gap=3).any()
    masks, void = bands(['a+b++++++c'])
    assert touching_objects(masks, [0, 0, 0], gap=1, void=void).tolist() == [True, True, False]


def test_void_that_reaches_the_border_and_other_classes():
    masks, void = bands(['++a++b++'])
    assert touching_objects(masks, [0, 0], gap=0, void=void).all()
    assert not touching_objects(masks, [0, 1], gap=0, void=void).any()
    assert touching_objects(masks[:0], [], void=void).shape == (0,)


def test_no_void_pixels_and_no_void_map_are_the_same():
    rng = np.random.default_rng(2)
    for _ in range(10):
        masks, labels = rng.random((4, 9, 9)) < 0.04, rng.integers(0, 2, 4)
        expected = touching_objects(masks, labels).tolist()
        assert touching_objects(masks, labels, void=np.zeros((9, 9), bool)).tolist() == expected


def test_errors():
    with pytest.raises(ValueError, match='a label for each mask, got 1 for 2'):
        touching_objects(np.ones((2, 2, 2), bool), [0])
    with pytest.raises(ValueError, match='gap of at least 0 pixels, got -1'):
        touching_objects(np.ones((1, 2, 2), bool), [0], gap=-1)
    with pytest.raises(ValueError, match='void_gap of at least 1 step, got 0'):
        touching_objects(np.ones((1, 2, 2), bool), [0], void_gap=0)


# instance maps


@pytest.mark.parametrize(('free', 'expected'), [(0, True), (1, True), (2, False)])
def test_gap_between_two_objects(free, expected):
    instance_map = np.zeros((3, 8), np.int32)
    instance_map[:, :3] = 1
    instance_map[:, 3 + free :] = 2
    for turned in (instance_map, instance_map.T):
        assert adjacent_same_class(turned, np.array([0, 0])).tolist() == [expected, expected]


def test_diagonal_neighbours_and_another_gap():
    instance_map = np.array([[1, 0, 0], [0, 0, 0], [0, 0, 2]])
    assert adjacent_same_class(instance_map, [0, 0]).all()
    assert not adjacent_same_class(instance_map, [0, 0], gap=1).any()


def test_other_classes_do_not_count():
    instance_map = np.array([[1, 2, 3]])
    assert adjacent_same_class(instance_map, [0, 1, 0]).tolist() == [True, False, True]
    assert adjacent_same_class(instance_map, [0, 1, 2]).tolist() == [False, False, False]


def test_no_objects_and_objects_without_pixels():
    assert adjacent_same_class(np.zeros((4, 4), np.int32), []).shape == (0,)
    instance_map = np.array([[1, 3]])
    assert adjacent_same_class(instance_map, [0, 0, 0]).tolist() == [True, False, True]


def test_agrees_with_a_pairwise_computation():
    rng = np.random.default_rng(0)
    for _ in range(20):
        instance_map = np.zeros((20, 20), np.int32)
        for i in range(6):
            y, x = rng.integers(0, 17, 2)
            instance_map[y : y + 3, x : x + 3] = i + 1
        labels = rng.integers(0, 2, 6)
        pixels = [np.argwhere(instance_map == i + 1) for i in range(6)]
        expected = [
            any(
                i != j
                and labels[i] == labels[j]
                and len(pixels[i])
                and len(pixels[j])
                and np.abs(pixels[i][:, None] - pixels[j][None]).max(2).min() <= 2
                for j in range(6)
            )
            for i in range(6)
        ]
        assert adjacent_same_class(instance_map, labels).tolist() == expected
