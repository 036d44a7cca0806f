import numpy as np
import pytest

from mmp2seg.evaluation.functional.pseudo_masks import (
    compare_image,
    match_points,
    point_matched_ious,
    summarize_ious,
    summarize_sizes,
)
from mmp2seg.ops.rle import encode_rle


def box_rle(x1, y1, x2, y2, size=(10, 10)):
    mask = np.zeros(size, dtype=bool)
    mask[y1:y2, x1:x2] = True
    return encode_rle(mask)


def pred(point, box, category=1, point_id=0):
    return {
        'category_id': category,
        'point': list(point),
        'point_id': point_id,
        'segmentation': box_rle(*box),
    }


def truth(box, category=1, point=None, ann_id=0):
    ann = {'id': ann_id, 'category_id': category, 'segmentation': box_rle(*box)}
    return ann if point is None else {**ann, 'point': list(point)}


def test_iou_by_hand():
    # 2 x 2 pixels inside 4 x 2: IoU 4/8; two overlapping 2 x 2 squares: IoU 2/6
    truths = [truth((0, 0, 4, 2), point=(1, 1)), truth((5, 5, 7, 7), point=(6, 6))]
    preds = [pred((6, 6), (5, 6, 7, 8)), pred((1, 1), (0, 0, 2, 2))]
    assert point_matched_ious(preds, truths) == pytest.approx([0.5, 1 / 3])


def test_order_of_the_instances_does_not_matter():
    truths = [truth((0, 0, 4, 2), point=(1, 1)), truth((5, 5, 7, 7), point=(6, 6))]
    preds = [pred((1, 1), (0, 0, 2, 2)), pred((6, 6), (5, 6, 7, 8))]
    assert np.array_equal(
        point_matched_ious(preds, truths), point_matched_ious(preds[::-1], truths)
    )


def test_object_without_instance_has_iou_0():
    truths = [truth((0, 0, 4, 4), point=(1, 1)), truth((5, 5, 9, 9), point=(6, 6))]
    assert point_matched_ious([pred((6, 6), (5, 5, 9, 9))], truths).tolist() == [0, 1]
    assert point_matched_ious([], truths).tolist() == [0, 0]
    assert point_matched_ious([pred((6, 6), (5, 5, 9, 9))], []).tolist() == []


def test_overlap_alone_does_not_match():
    # the mask of the other object's point covers this one exactly
    truths = [truth((0, 0, 4, 4), point=(1, 1))]
    assert point_matched_ious([pred((6, 6), (0, 0, 4, 4))], truths).tolist() == [0]


def test_class_must_agree():
    for point in ((1, 1), None):
        truths = [truth((0, 0, 4, 4), category=2, point=point)]
        assert point_matched_ious([pred((1, 1), (0, 0, 4, 4))], truths).tolist() == [0]


def test_points_equal_up_to_float32():
    truths = [truth((0, 0, 4, 4), point=(1.23456789, 1))]
    assert point_matched_ious([pred((1.2346, 1), (0, 0, 4, 4))], truths).tolist() == [1]


def test_without_points_the_smallest_object_that_holds_the_point():
    large, small = truth((0, 0, 8, 8)), truth((2, 2, 4, 4))
    inside_both = pred((3, 3), (2, 2, 4, 4), point_id=1)
    inside_large = pred((6, 6), (0, 0, 8, 8), point_id=2)
    assert point_matched_ious([inside_both], [large, small]).tolist() == [0, 1]
    assert point_matched_ious([inside_both, inside_large], [large, small]).tolist() == [1, 1]


def test_a_second_point_takes_the_next_object_and_each_instance_counts_once():
    large, small = truth((0, 0, 8, 8)), truth((2, 2, 4, 4))
    first = pred((3, 3), (2, 2, 4, 4), point_id=1)
    second = pred((2.5, 2.5), (0, 0, 8, 8), point_id=2)
    assert point_matched_ious([first, second], [large, small]).tolist() == [1, 1]
    same = [truth((0, 0, 4, 4), point=(1, 1)), truth((0, 0, 4, 4), point=(1, 1))]
    assert point_matched_ious([pred((1, 1), (0, 0, 4, 4))], same).tolist() == [1, 0]


def test_object_of_each_instance():
    objects = [truth((0, 0, 8, 8)), truth((2, 2, 4, 4))]
    points = [(9, 9), (3, 3), (3.5, 3.5), (2.5, 3)]
    preds = [pred(point, (0, 0, 1, 1)) for point in points]
    # outside of both, the smaller one, the next one, and none is left
    assert match_points(preds, objects) == [None, 1, 0, None]


def test_points_at_borders():
    # pixel (col 9, row 0) covers x in [9, 10), y in [0, 1); x = 10 lies outside
    objects = [truth((9, 0, 10, 1))]
    for point, expected in (((9, 0), 1), ((9.99, 0.99), 1), ((10, 0.5), 0), ((9, -0.1), 0)):
        assert point_matched_ious([pred(point, (9, 0, 10, 1))], objects).tolist() == [expected]


def test_match_by_id_finds_moved_points():
    truths = [truth((0, 0, 4, 4), point=(1, 1), ann_id=8), truth((5, 5, 9, 9), ann_id=3)]
    preds = [pred((9, 1), (5, 5, 9, 9), point_id=3), pred((0, 9), (0, 0, 4, 2), point_id=8)]
    assert point_matched_ious(preds, truths, match='point_id').tolist() == [0.5, 1]


def test_match_by_order_finds_moved_points():
    truths = [truth((0, 0, 4, 4), ann_id=8), truth((5, 5, 9, 9), category=2, ann_id=3)]
    preds = [pred((9, 1), (5, 5, 9, 9), category=2, point_id=1), pred((0, 9), (0, 0, 4, 2))]
    assert point_matched_ious(preds, truths, match='order').tolist() == [0.5, 1]
    assert point_matched_ious(preds[:1], truths, match='order').tolist() == [0, 1]
    with pytest.raises(ValueError, match='object 0 to be of category 2, got category 1'):
        point_matched_ious([{**preds[0], 'point_id': 0}], truths, match='order')
    with pytest.raises(ValueError, match='object 2 to be of category 2, got nothing'):
        point_matched_ious([{**preds[0], 'point_id': 2}], truths, match='order')


def test_errors():
    with pytest.raises(ValueError, match="match to be one of .*, got 'iou'"):
        point_matched_ious([], [], match='iou')
    small = {**pred((1, 1), (0, 0, 4, 4)), 'segmentation': box_rle(0, 0, 4, 4, size=(5, 5))}
    with pytest.raises(ValueError, match=r'masks of one size, got \[5, 5\] and \[10, 10\]'):
        point_matched_ious([small], [truth((0, 0, 4, 4), point=(1, 1))])


def test_compare_image_reads_polygons_and_leaves_crowds_out():
    polygon = {'id': 1, 'category_id': 1, 'segmentation': [[0, 0, 4, 0, 4, 4, 0, 4]]}
    crowd = {**truth((0, 0, 9, 9)), 'iscrowd': 1}
    neighbour = truth((5, 0, 9, 4))
    ious, touching = compare_image(
        [pred((1, 1), (0, 0, 4, 2))], [crowd, polygon, neighbour], height=10, width=10
    )
    assert ious.tolist() == [0.5, 0]
    assert touching.tolist() == [True, True]
    _, touching = compare_image([], [polygon, neighbour], height=10, width=10, gap=1)
    assert touching.tolist() == [False, False]


def test_summary_by_hand():
    ious = np.array([0.5, 0.51, 0.71, 0.9, 0.95, 0.0])
    touching = np.array([True, False, True, False, False, True])
    assert summarize_ious(ious, touching) == {
        'num_objects': 6,
        'num_touching': 3,
        'mean_iou': pytest.approx(3.57 / 6),
        'mean_iou_touching': pytest.approx(1.21 / 3),
        'num_iou50': 4,
        'num_iou70': 3,
        'num_iou90': 1,
        'found_touching_iou50': pytest.approx(2 / 3),
    }


def test_summary_of_nothing():
    figures = summarize_ious(np.zeros(0), np.zeros(0, bool))
    assert figures['num_objects'] == figures['num_iou50'] == 0
    assert np.isnan([figures['mean_iou'], figures['found_touching_iou50']]).all()


def test_halves_by_size():
    figures = summarize_sizes(np.array([0.2, 1.0, 0.4, 0.6]), np.array([9, 1, 9, 2]))
    assert figures['mean_iou_small'] == pytest.approx(0.8)
    assert figures['mean_iou_large'] == pytest.approx(0.3)
    odd = summarize_sizes(np.array([0.2, 1.0, 0.6]), np.array([9, 1, 2]))
    assert odd['mean_iou_small'] == pytest.approx(0.8) and odd['mean_iou_large'] == 0.2
    assert np.isnan(list(summarize_sizes(np.zeros(0), np.zeros(0)).values())).all()
