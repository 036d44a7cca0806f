"""The VOC protocol by hand, and compared with a second implementation on dense masks."""

import numpy as np
import pytest

from mmp2seg.evaluation.functional.class_masks import ClassMasks
from mmp2seg.evaluation.functional.voc_instance_ap import (
    IOU_THRESHOLDS,
    LEFT_OUT,
    RIGHT,
    WRONG,
    average_precision,
    average_precisions,
    match_image,
    mean_over_classes,
)
from mmp2seg.ops.rle import encode_rle

NONE = ClassMasks.of([], [])


def masks_of(masks, category_ids):
    return ClassMasks.of([encode_rle(np.asarray(mask, dtype=bool)) for mask in masks], category_ids)


def bars(*spans, width=12):
    """Make masks of one row, each from column ``start`` to ``stop``, exclusive."""
    masks = np.zeros((len(spans), 1, width), dtype=bool)
    for mask, (start, stop) in zip(masks, spans, strict=True):
        mask[:, start:stop] = True
    return masks


def outcomes_of(pred_spans, scores, true_spans, *, iou, crowds=NONE, labels=None):
    pred = masks_of(bars(*pred_spans), [1] * len(scores) if labels is None else labels)
    objects = masks_of(bars(*true_spans), [1] * len(true_spans))
    return match_image(pred, scores, objects, crowds, iou_thresholds=[iou])


def test_an_iou_that_equals_the_threshold_is_right():
    # 7 of 10 pixels; in chainercv a prediction is wrong only below the threshold
    matches = outcomes_of([(0, 7)], [0.5], [(0, 10)], iou=0.7)
    assert matches.outcomes.tolist() == [[RIGHT]]
    assert outcomes_of([(0, 6)], [0.5], [(0, 10)], iou=0.7).outcomes.tolist() == [[WRONG]]


def test_of_two_on_one_object_the_higher_score_is_right():
    matches = outcomes_of([(0, 4), (0, 5)], [0.2, 0.9], [(0, 4)], iou=0.5)
    assert matches.scores.tolist() == [0.9, 0.2]
    assert matches.outcomes.tolist() == [[RIGHT], [WRONG]]


def test_equal_scores_keep_their_order():
    matches = outcomes_of([(8, 9), (0, 4), (0, 5)], [0.5] * 3, [(0, 4)], iou=0.5)
    assert matches.outcomes.tolist() == [[WRONG], [RIGHT], [WRONG]]


def test_there_is_no_second_choice():
    # both have their largest IoU with the first object; the second one has .25 with the other too
    matches = outcomes_of([(0, 4), (1, 6)], [0.9, 0.8], [(0, 4), (4, 6)], iou=0.25)
    assert matches.outcomes.tolist() == [[RIGHT], [WRONG]]


def test_a_missed_threshold_does_not_take_the_object():
    pred = masks_of(bars((0, 2), (0, 4)), [1, 1])
    objects = masks_of(bars((0, 4)), [1])
    matches = match_image(pred, [0.9, 0.8], objects, NONE, iou_thresholds=[0.25, 0.75])
    assert matches.outcomes.tolist() == [[RIGHT, WRONG], [WRONG, RIGHT]]


def test_only_objects_of_the_class_count():
    matches = outcomes_of([(0, 4)], [0.5], [(0, 4)], iou=0.5, labels=[2])
    assert matches.outcomes.tolist() == [[WRONG]]
    assert matches.true_category_ids.tolist() == [1]


def test_wrong_predictions_on_a_crowd_are_left_out():
    # right; wrong, two thirds in the crowd; wrong, a quarter in the crowd; right, in the crowd
    spans, scores, objects = (
        [(0, 2), (3, 6), (1, 5), (9, 12)],
        [0.9, 0.8, 0.7, 0.6],
        [(0, 2), (10, 12)],
    )
    matches = outcomes_of(spans, scores, objects, iou=0.5, crowds=masks_of(bars((4, 10)), [1]))
    assert matches.outcomes.ravel().tolist() == [RIGHT, LEFT_OUT, WRONG, RIGHT]
    assert matches.true_category_ids.tolist() == [1, 1]
    matches = outcomes_of(spans, scores, objects, iou=0.5, crowds=masks_of(bars((4, 10)), [2]))
    assert matches.outcomes.ravel().tolist() == [RIGHT, WRONG, WRONG, RIGHT]


@pytest.mark.parametrize(
    ('outcomes', 'num_objects', 'expected'),
    [
        ([RIGHT, WRONG, RIGHT], 2, 0.5 * 1 + 0.5 * 2 / 3),
        ([WRONG, RIGHT, RIGHT], 4, 0.25 * 2 / 3 * 2),  # precision 0, 1/2, 2/3 made monotonic
        ([LEFT_OUT, RIGHT, LEFT_OUT, WRONG, RIGHT], 2, 0.5 + 0.5 * 2 / 3),
        ([WRONG], 3, 0),
        ([], 3, 0),
        ([], 0, np.nan),
        ([WRONG], 0, np.nan),
    ],
)
def test_area_under_the_curve(outcomes, num_objects, expected):
    found = average_precision(np.array(outcomes, dtype=np.int8), num_objects)
    assert found == pytest.approx(expected, nan_ok=True)


def test_classes_without_objects_are_left_out_of_the_mean():
    aps = np.array([[0.5, 0.2], [np.nan, np.nan], [0.1, 0]])
    assert mean_over_classes(aps).tolist() == pytest.approx([0.3, 0.1])
    assert np.isnan(mean_over_classes(aps[1:2])).all()
    assert np.isnan(mean_over_classes(aps[:0])).all()


def test_no_images():
    aps = average_precisions([], [4, 5], num_thresholds=3)
    assert aps.shape == (2, 3) and np.isnan(aps).all()


# second implementation: dense masks and loops, one class and threshold at a time


def dense_ap(images, category, threshold):
    rows, num_objects = [], 0  # (-score, image, place, right)
    for index, (masks, labels, scores, true_masks, true_labels) in enumerate(images):
        truth = [m for m, label in zip(true_masks, true_labels, strict=True) if label == category]
        num_objects += len(truth)
        taken = set()
        own = [i for i in range(len(masks)) if labels[i] == category]
        for place in sorted(own, key=lambda i: (-scores[i], i)):
            best_iou, best = 0.0, None
            for number, mask in enumerate(truth):
                union = np.logical_or(masks[place], mask).sum()
                iou = np.logical_and(masks[place], mask).sum() / union if union else 0.0
                if best is None or iou > best_iou:
                    best_iou, best = iou, number
            right = best is not None and best_iou >= threshold and best not in taken
            if best is not None and best_iou >= threshold:
                taken.add(best)
            rows.append((-scores[place], index, place, right))
    if not num_objects:
        return np.nan
    recalls, precisions, tp = [0.0], [0.0], 0
    for count, (*_, right) in enumerate(sorted(rows), start=1):
        tp += right
        recalls.append(tp / num_objects)
        precisions.append(tp / count)
    area = 0.0
    for i in range(1, len(recalls)):
        area += (recalls[i] - recalls[i - 1]) * max(precisions[i:])
    return area


def random_images(rng):
    """Make objects and noisy copies: ties, duplicates, empty images, a class without objects."""
    images = []
    for _ in range(rng.integers(1, 5)):
        num = rng.integers(0, 4)
        true_masks = np.zeros((num, 9, 9), dtype=bool)
        for mask in true_masks:
            y, x, h, w = rng.integers([0, 0, 2, 2], [6, 6, 7, 7])
            mask[y : y + h, x : x + w] = True
        true_labels = rng.integers(0, 2, num)
        masks, labels = [], []
        for mask, label in zip(true_masks, true_labels, strict=True):
            for _ in range(rng.integers(0, 4)):
                shift = rng.integers(-1, 2, 2)
                masks.append(np.roll(mask, shift, (0, 1)) ^ (rng.random((9, 9)) < 0.04))
                labels.append(label if rng.random() < 0.8 else rng.integers(0, 3))
        if rng.random() < 0.5:
            masks.append(rng.random((9, 9)) < rng.choice([0, 0.3]))
            labels.append(2)
        scores = rng.integers(0, 5, len(masks)) / 4  # many ties
        images.append((masks, labels, scores, true_masks, true_labels))
    return images


@pytest.mark.parametrize('seed', range(40))
def test_agrees_with_a_second_implementation(seed):
    images = random_images(np.random.default_rng(seed))
    matches = [
        match_image(masks_of(masks, labels), scores, masks_of(true_masks, true_labels), NONE)
        for masks, labels, scores, true_masks, true_labels in images
    ]
    found = average_precisions(matches, [0, 1, 2], num_thresholds=len(IOU_THRESHOLDS))
    expected = [[dense_ap(images, c, iou) for iou in IOU_THRESHOLDS] for c in range(3)]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert np.isnan(found[2]).all()  # class 2 has no objects


def test_the_random_cases_are_not_all_alike():
    cases = [random_images(np.random.default_rng(seed)) for seed in range(40)]
    values = [dense_ap(images, 0, 0.5) for images in cases]
    assert 0 < np.isnan(values).sum() < 15
    assert ((np.array(values) > 0.05) & (np.array(values) < 0.95)).sum() > 10
