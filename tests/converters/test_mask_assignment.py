import numpy as np

from mmp2seg.converters.mask_assignment import ScoredMask, choose_masks, draw_masks
from mmp2seg.ops.rle import encode_rle


def scored(rows, cols, score, *, point=None, label=None, size=(4, 8)):
    mask = np.zeros(size, bool)
    mask[rows, cols] = True
    return ScoredMask(encode_rle(mask), score, point=point, label=label)


LEFT = scored(slice(0, 4), slice(0, 5), 0.8)
RIGHT = scored(slice(0, 4), slice(3, 8), 0.9)
ROW = scored(slice(0, 1), slice(0, 8), 0.8)


def test_a_point_takes_the_best_mask_that_holds_it():
    points = np.array([[0.5, 2.5], [3.5, 2.5], [0.0, 0.0], [7.99, 3.99], [8.0, 1.0]])
    chosen = choose_masks([LEFT, RIGHT, ROW], points, np.zeros(5, int))
    # for equal scores the smaller mask; no mask for a point outside the image
    assert chosen.tolist() == [0, 1, 2, 1, -1]
    assert chosen.tolist() == choose_masks([LEFT, RIGHT, ROW], points, np.arange(5)).tolist()


def test_equal_masks_are_taken_in_the_order_of_the_file():
    assert choose_masks([LEFT, LEFT], np.array([[0.5, 0.5]]), np.array([0])).tolist() == [0]


def test_a_mask_of_a_point_is_taken_by_it_alone():
    own = scored(slice(2, 3), slice(6, 8), 0.1, point=1)
    points = np.array([[6.5, 2.5], [0.5, 0.5]])
    assert choose_masks([own], points, np.zeros(2, int)).tolist() == [-1, 0]
    assert choose_masks([own, LEFT], points, np.zeros(2, int)).tolist() == [-1, 1]


def test_a_mask_of_a_class_is_taken_by_its_points_alone():
    of_class = scored(slice(0, 4), slice(0, 8), 1.0, label=1)
    points = np.array([[1.5, 1.5], [2.5, 1.5]])
    assert choose_masks([LEFT, of_class], points, np.array([0, 1])).tolist() == [0, 1]
    assert choose_masks([scored([], [], 1.0, point=0)], points, np.array([0, 1])).tolist() == [
        -1,
        -1,
    ]


def test_no_points_and_no_masks():
    assert choose_masks([LEFT], np.zeros((0, 2)), np.zeros(0, int)).shape == (0,)
    assert choose_masks([], np.array([[1.0, 1.0]]), np.array([0])).tolist() == [-1]
    drawn, conflict = draw_masks([], np.array([-1]), np.array([0]), height=2, width=3)
    assert drawn.tolist() == [[0] * 3] * 2 and drawn.dtype == np.uint8 and conflict == 0


def test_the_better_mask_lies_on_top():
    expected = [[1, 1, 1, 3, 3, 3, 3, 3]] * 4
    for chosen, labels in (([0, 1], [0, 2]), ([1, 0], [2, 0])):
        drawn, conflict = draw_masks(
            [LEFT, RIGHT], np.array(chosen), np.array(labels), height=4, width=8
        )
        assert drawn.tolist() == expected
        assert conflict == 8
    # for equal scores the smaller mask
    drawn, _ = draw_masks([ROW, LEFT], np.array([0, 1]), np.array([1, 0]), height=4, width=8)
    assert drawn.tolist() == [[2] * 8] + [[1] * 5 + [0] * 3] * 3


def test_overlaps_of_different_classes_may_be_ignored():
    arguments = dict(height=4, width=8, uncertain=255)
    drawn, conflict = draw_masks([LEFT, RIGHT], np.array([0, 1]), np.array([0, 2]), **arguments)
    assert drawn.tolist() == [[1, 1, 1, 255, 255, 3, 3, 3]] * 4
    assert conflict == 8
    drawn, conflict = draw_masks([LEFT, RIGHT], np.array([0, 1]), np.array([2, 2]), **arguments)
    assert drawn.tolist() == [[3] * 8] * 4
    assert conflict == 0
    # a mask shared by points of two classes
    drawn, conflict = draw_masks([LEFT], np.array([0, 0]), np.array([0, 1]), **arguments)
    assert drawn.tolist() == [[255] * 5 + [0] * 3] * 4


def test_a_pixel_under_three_masks_is_a_conflict_if_any_two_differ():
    masks = [scored(slice(0, 4), slice(0, 8), score) for score in (0.3, 0.2, 0.1)]
    drawn, conflict = draw_masks(
        masks, np.arange(3), np.array([0, 1, 0]), height=4, width=8, uncertain=255
    )
    assert (drawn == 255).all() and conflict == 32
