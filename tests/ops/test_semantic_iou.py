import math

import numpy as np
import pytest

from mmp2seg.ops.semantic_iou import confusion_matrix, mean_iou, per_class_iou

TARGET = np.array([[0, 0, 1], [1, 2, 255]], np.uint8)
PRED = np.array([[0, 1, 1], [255, 2, 2]], np.uint8)


def test_matrix_of_a_small_map():
    # Columns: background, class 0, class 1, class 2, no prediction.
    expected = [[1, 1, 0, 0, 0], [0, 1, 0, 0, 1], [0, 0, 1, 0, 0], [0, 0, 0, 0, 0]]
    np.testing.assert_array_equal(confusion_matrix(PRED, TARGET, num_classes=3), expected)


def test_iou_of_a_small_map():
    matrix = confusion_matrix(PRED, TARGET, num_classes=3)
    # Class 0: one pixel matched, one missed (no prediction), one false.
    np.testing.assert_allclose(per_class_iou(matrix), [1 / 2, 1 / 3, 1, math.nan])
    assert mean_iou(matrix) == pytest.approx((1 / 2 + 1 / 3 + 1) / 3)


def test_a_class_only_in_the_prediction_counts_as_zero():
    matrix = confusion_matrix(np.array([0, 2]), np.array([0, 0]), num_classes=2)
    np.testing.assert_allclose(per_class_iou(matrix), [0.5, math.nan, 0])


def test_equal_maps_have_iou_one():
    target = np.random.default_rng(0).integers(0, 5, (30, 40))
    assert mean_iou(confusion_matrix(target, target, num_classes=4)) == 1


def test_matrices_add_up():
    rng = np.random.default_rng(0)
    pred, target = rng.integers(0, 4, (2, 6, 10, 10))
    whole = confusion_matrix(pred, target, num_classes=3)
    parts = sum(confusion_matrix(p, t, num_classes=3) for p, t in zip(pred, target, strict=True))
    np.testing.assert_array_equal(whole, parts)


def test_iou_agrees_with_counting_sets():
    rng = np.random.default_rng(1)
    pred, target = rng.integers(0, 4, (2, 50, 50))
    target[rng.random(target.shape) < 0.1] = 255
    iou = per_class_iou(confusion_matrix(pred, target, num_classes=3))
    seen = target != 255
    for value in range(4):
        both = ((pred == value) & (target == value)).sum()
        assert iou[value] == both / (((pred == value) | (target == value)) & seen).sum()


def test_nothing_to_count():
    for target in (np.zeros((0, 3), np.uint8), np.full((2, 2), 255, np.uint8)):
        matrix = confusion_matrix(np.zeros_like(target), target, num_classes=2)
        assert matrix.shape == (3, 4)
        assert matrix.sum() == 0
        assert math.isnan(mean_iou(matrix))


def test_a_square_matrix_is_accepted():
    assert mean_iou(np.array([[1, 0], [1, 2]])) == pytest.approx((1 / 2 + 2 / 3) / 2)


def test_wrong_input_is_an_error():
    with pytest.raises(ValueError, match='one shape'):
        confusion_matrix(np.zeros((2, 3)), np.zeros((3, 2)), num_classes=2)
    with pytest.raises(ValueError, match='255 in pred, got 3'):
        confusion_matrix(np.array([3]), np.array([0]), num_classes=2)
    with pytest.raises(ValueError, match='255 in target, got -1'):
        confusion_matrix(np.array([0]), np.array([-1]), num_classes=2)
    with pytest.raises(ValueError, match='ignore_index outside 0..2, got 0'):
        confusion_matrix(np.array([0]), np.array([0]), num_classes=2, ignore_index=0)
