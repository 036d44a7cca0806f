import numpy as np
import pytest

from mmp2seg.ops.candidates import best_candidate, clicks_held, mask_ious, paint_smaller_on_top


def rows(*texts):
    """Masks (C, 1, W) of texts, # in the mask."""
    return np.array([[[letter == '#' for letter in text]] for text in texts])


def test_clicks_held_counts_each_click_of_each_mask():
    masks = rows('##...', '#####', '.....')
    assert clicks_held(masks, np.array([[0, 0], [0, 1], [0, 4]])).tolist() == [2, 3, 0]
    assert clicks_held(masks, np.zeros((0, 2), np.int64)).tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ('changes', 'best'),
    [
        ({}, 1),  # the score
        (dict(num_others=[0, 1, 0]), 2),  # holds a click of another
        (dict(num_others=[2, 2, 2]), 1),
        (dict(holds_click=[True, False, False], num_others=[3, 0, 0]), 0),
        (dict(areas=[5, 0, 6]), 2),
        (dict(areas=[0, 0, 0]), 1),
        (dict(scores=[0.5, 0.5, 0.5]), 0),  # the first
    ],
)
def test_best_candidate(changes, best):
    options = dict(
        scores=[0.1, 0.9, 0.5], areas=[5, 6, 7], holds_click=[True] * 3, num_others=[0] * 3
    )
    options = {key: np.array(value) for key, value in (options | changes).items()}
    assert best_candidate(options.pop('scores'), **options) == best


def test_mask_ious_by_hand():
    other = rows('.##..')[0]
    found = mask_ious(rows('.##..', '####.', '..##.', '#....', '.....'), other)
    np.testing.assert_allclose(found, [1, 1 / 2, 1 / 3, 0, 0])
    assert mask_ious(rows('.....'), rows('.....')[0]).tolist() == [0]


def test_the_smallest_mask_is_on_top_and_of_equal_ones_the_first():
    masks = rows('#####', '.##..', '..##.', '.....')
    areas = masks.sum((1, 2)).tolist()
    drawn = paint_smaller_on_top(areas, masks.__getitem__, size=(1, 5))
    assert drawn.tolist() == [[1, 2, 2, 3, 1]]
    assert drawn.dtype == np.int32
    assert paint_smaller_on_top([], masks.__getitem__, size=(1, 2)).tolist() == [[0, 0]]
