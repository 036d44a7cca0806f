"""Figures of made-up results on a small truth, worked out by hand."""

import math

import numpy as np
import pytest

from mmp2seg.analysis.point_segmentation.evaluation import (
    MethodScores,
    evaluate,
    given_map,
    object_ious,
)
from mmp2seg.analysis.point_segmentation.truth_images import TruthImages, TruthSource
from mmp2seg.files.index_png import write_palette_png
from mmp2seg.ops.rle import decode_rle
from mmp2seg.ops.semantic_iou import confusion_matrix, mean_iou
from mmp2seg.segmenters import NearestSplit, PointBaseline, PointSegmentation


@pytest.fixture
def images(truth_folder):
    source = TruthSource(truth_folder.path, truth_folder.images)
    return TruthImages([source], long_side=0, min_area=10)


def true_result(image):
    """Return the truth as a result, with background instead of void."""
    instance_map = np.zeros(image.semantic_map.shape, np.int32)
    for point, rle in zip(image.object_points, image.object_rles):
        instance_map[decode_rle(rle)] = point + 1
    semantic_map = np.where(image.semantic_map == 255, 0, image.semantic_map).astype(np.uint8)
    return PointSegmentation(instance_map, semantic_map, np.ones(len(image.points_xy)))


def test_the_truth_is_perfect(images):
    scores = MethodScores(2)
    for image in images:
        scores.add(image, true_result(image), seconds=1)
    figures = scores.figures()
    assert figures['miou'] == figures['mean_iou'] == figures['mean_iou_touching'] == 1
    assert figures['share_iou50'] == figures['miou_sure'] == figures['seconds'] == 1
    assert figures['unsure_share'] == 0


def test_object_ious_by_hand(images):
    image = images[0]
    instance_map = np.zeros((20, 40), np.int32)
    instance_map[2:10, 2:14] = 1  # all of the first cat and half of the second
    instance_map[10:14, 20:38] = 3  # half of the dog
    assert object_ious(instance_map, image).tolist() == [64 / 96, 0, 0.5]


def test_an_object_without_a_point_counts_as_zero(images):
    image = images[0]
    image.object_points[1] = -1
    assert object_ious(true_result(image).instance_map, image).tolist() == [1, 0, 1]


def test_void_pixels_count_for_the_maps_of_no_class(images):
    image = images[0]
    result = true_result(image)
    wrong = np.where(image.semantic_map == 255, 1, result.semantic_map).astype(np.uint8)
    scores = MethodScores(2)
    scores.add(image, PointSegmentation(result.instance_map, wrong, result.scores), seconds=0)
    assert scores.figures()['miou'] == 1
    assert scores.matrix.sum() == np.count_nonzero(image.semantic_map != 255)


def test_the_best_guess_counts_where_a_method_is_not_sure(images):
    image = images[0]
    result = true_result(image)
    unsure = result.semantic_map.copy()
    unsure[10:18, 20:38] = 255  # the dog, 144 pixels
    guess = result.semantic_map.copy()
    guess[10:14, 20:38] = 0
    scores = MethodScores(2)
    scores.add(
        image,
        PointSegmentation(result.instance_map, unsure, result.scores, semantic_argmax=guess),
        seconds=0,
    )
    figures = scores.figures()
    background = np.count_nonzero(image.semantic_map == 0)
    assert figures['miou'] == pytest.approx((background / (background + 72) + 1 + 0.5) / 3)
    assert figures['unsure_share'] == pytest.approx(144 / (background + 128 + 144))
    assert figures['miou_sure'] == 1


def test_255_without_a_best_guess_is_an_error(images):
    image = images[0]
    result = true_result(image)
    unsure = result.semantic_map.copy()
    unsure[10:14, 20:38] = 255
    scores = MethodScores(2)
    scores.add(image, PointSegmentation(result.instance_map, unsure, result.scores), seconds=0)
    figures = scores.figures()
    assert figures['miou'] == pytest.approx((1 + 1 + 0.5) / 3)
    assert figures['miou_sure'] == 1


def test_quarters_by_area_touching_and_shares(images):
    image = images[0]
    scores = MethodScores(2)
    scores.add(image, true_result(image), seconds=0.5)
    scores.add(images[1], true_result(images[1]), seconds=1.5)
    # areas 64, 64, 144: array_split makes quarters of 1, 1, 1 and 0 objects
    figures = scores.figures()
    assert figures['mean_iou_quarter1'] == figures['mean_iou_quarter3'] == 1
    assert math.isnan(figures['mean_iou_quarter4'])
    assert figures['seconds'] == 1
    entry = scores.images[0]
    entry.ious[:] = [0.2, 0.6, 1.0]
    entry.areas[:] = [9, 4, 1]
    figures = scores.figures()
    assert [figures[f'mean_iou_quarter{k}'] for k in (1, 2, 3)] == [1.0, 0.6, 0.2]
    assert figures['mean_iou'] == pytest.approx(0.6)
    assert figures['mean_iou_touching'] == pytest.approx(0.4)
    assert figures['share_iou50'] == pytest.approx(2 / 3)


def test_nothing_to_compare():
    figures = MethodScores(2).figures()
    assert all(math.isnan(value) for value in figures.values())


def test_worst_images_are_those_with_objects_and_the_lowest_means(images):
    scores = MethodScores(2)
    for index in (0, 1, 0):
        scores.add(images[index], true_result(images[index]), seconds=0)
    scores.images[2].ious[:] = 0.1
    assert scores.worst(5) == [2, 0] and scores.worst(1) == [2]


@pytest.mark.parametrize(
    ('instance_map', 'semantic_map', 'message'),
    [
        (np.zeros((20, 4)), np.zeros((20, 40)), r'expected instance_map of the shape \(20, 40\)'),
        (np.zeros((20, 40)), np.zeros((4, 40)), r'expected semantic_map of the shape'),
        (np.zeros((20, 40)), np.full((20, 40), 3), r'expected values 0..2 or 255'),
    ],
)
def test_wrong_results_are_refused(images, instance_map, semantic_map, message):
    wrong = PointSegmentation(
        instance_map.astype(np.int32), semantic_map.astype(np.uint8), np.zeros(3)
    )

    def method(image_rgb, *, points_xy, labels, num_classes, background_xy):
        return wrong

    place = r'truth.json: image 1 \(a/1.png\): method bad: '
    with pytest.raises(ValueError, match=place + message):
        evaluate({'bad': method}, images)


def test_evaluate_calls_each_method_with_the_points_of_each_image(images):
    calls = []

    def method(image_rgb, *, points_xy, labels, num_classes, background_xy):
        calls.append((image_rgb.shape, points_xy.shape, labels.tolist(), num_classes))
        size = image_rgb.shape[:2]
        return PointSegmentation(np.zeros(size, np.int32), np.zeros(size, np.uint8), np.zeros(3))

    seen = []

    def track(indices):
        for index in indices:
            seen.append(index)
            yield index

    scores = evaluate(
        {'nothing': method, 'discs': PointBaseline(rule='discs')}, images, track=track
    )
    assert calls == [((20, 40, 3), (3, 2), [0, 0, 1], 2), ((20, 40, 3), (0, 2), [], 2)]
    assert seen == [0, 1]
    assert [entry.name for entry in scores['discs'].images] == ['a/1.png', '2.png']
    assert scores['nothing'].figures()['mean_iou'] == 0
    assert scores['discs'].figures()['mean_iou'] > 0.3
    assert all(entry.seconds > 0 for entry in scores['discs'].images)


def test_nearest_split_of_the_true_maps(images):
    scores = evaluate({'nearest': NearestSplit()}, images, maps='truth')
    figures = scores['nearest'].figures()
    # rectangles of one size with their points in the middle
    assert figures['miou'] == figures['mean_iou'] == 1


def test_degraded_maps_are_reproducible_and_differ_from_the_truth(images):
    image = images[0]
    first, second = (given_map(image, 'degraded', num_classes=2) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert (first != image.semantic_map).any()
    assert ((first == 255) == (image.semantic_map == 255)).all()


def test_maps_of_a_folder_are_scaled_to_the_image(images, tmp_path):
    image = images[0]
    folder = tmp_path / 'maps'
    write_palette_png(folder / 'a' / '1.png', image.semantic_map.repeat(2, 0).repeat(2, 1))
    found = given_map(image, folder, num_classes=2)
    np.testing.assert_array_equal(found, image.semantic_map)
    write_palette_png(folder / '2.png', np.zeros((20, 20), np.uint8))
    with pytest.raises(ValueError, match=r'2.png: expected the proportions of the image, 40 x 20'):
        given_map(images[1], folder, num_classes=2)
    with pytest.raises(FileNotFoundError, match=r'2.png: no such file'):
        given_map(images[1], tmp_path, num_classes=2)


def test_miou_of_an_image_is_that_of_its_own_matrix(images):
    image = images[0]
    scores = MethodScores(2)
    result = true_result(image)
    wrong = np.where(result.semantic_map == 2, 0, result.semantic_map).astype(np.uint8)
    scores.add(image, PointSegmentation(result.instance_map, wrong, result.scores), seconds=0)
    scores.add(images[1], true_result(images[1]), seconds=0)
    expected = mean_iou(confusion_matrix(wrong, image.semantic_map, num_classes=2))
    assert scores.images[0].miou == expected < 1
    assert scores.images[1].miou == 1
