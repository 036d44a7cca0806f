import numpy as np
import pytest

from mmp2seg.evaluation.functional.touching import touching_objects
from mmp2seg.ops.adjacency import adjacent_same_class
from mmp2seg.ops.rle import encode_rle


def masks_of(rows):
    """A mask for each letter of a drawing, in alphabetical order."""
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


def test_errors():
    with pytest.raises(ValueError, match='a label for each mask, got 1 for 2'):
        touching_objects(np.ones((2, 2, 2), bool), [0])
    with pytest.raises(ValueError, match='gap of at least 0 pixels, got -1'):
        touching_objects(np.ones((1, 2, 2), bool), [0], gap=-1)
