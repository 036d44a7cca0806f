import numpy as np
import pytest

from mmp2seg.visualization.object_crops import (
    failure_crop,
    object_crop,
    object_window,
    point_window,
)

PALETTE = [(200, 10, 20), (30, 210, 40)]
IMAGE = np.full((60, 80, 3), 90, np.uint8)
MASK = np.zeros((60, 80), bool)
MASK[20:40, 30:50] = True
OPTIONS = dict(palette=PALETTE, height=100)


def has(picture, color):
    return (picture == color).all(axis=-1).any()


def mixed(color):
    return [round((90 + value) / 2) for value in color]


def test_window_of_an_object_has_a_margin_and_stays_in_the_image():
    assert object_window(MASK, [40.5, 30.5]) == (8, 18, 52, 62)
    # the point belongs to it
    assert object_window(MASK, [3.5, 59.5]) == (6, 0, 60, 64)
    assert object_window(MASK & False, [40.5, 30.5]) == (18, 28, 43, 53)
    top, left, bottom, right = object_window(MASK & False, [-500.0, 999.0])
    assert top < bottom <= 60 and left < right <= 80


def test_window_of_a_point():
    assert point_window([40.5, 30.5], (60, 80)) == (6, 16, 54, 64)
    assert point_window([400.0, -3.0], (60, 80)) == (-24, 55, 24, 103)
    assert point_window([300.0, 300.0], (600, 600)) == (200, 200, 400, 400)


def test_object_with_mask_and_truth():
    alone = object_crop(IMAGE, [40.5, 30.5], 1, MASK, **OPTIONS)
    assert has(alone, mixed(PALETTE[1])) and has(alone, PALETTE[1])  # mask and point
    truth = np.roll(MASK, 10, axis=1)
    compared = object_crop(IMAGE, [40.5, 30.5], 1, MASK, truth=truth, **OPTIONS)
    assert compared.shape[1] > alone.shape[1] > 2 * 100
    # the outline of the mask, over the true mask and outside of it
    last = compared[-100:, -100:]
    assert has(last, [255, 255, 255])


def test_failure_beside_other_masks_and_on_the_map():
    instances = MASK.astype(np.int32)
    semantic_map = 2 * MASK.astype(np.uint8)
    alone = failure_crop(IMAGE, [28.5, 30.5], 0, instances, **OPTIONS)
    assert has(alone, PALETTE[0])
    assert not has(alone, PALETTE[1])
    with_map = failure_crop(IMAGE, [28.5, 30.5], 0, instances, semantic_map=semantic_map, **OPTIONS)
    assert np.array_equal(with_map[:, : alone.shape[1]], alone)
    assert has(with_map, PALETTE[1])  # class 1 on the map
    none = failure_crop(IMAGE, [28.5, 30.5], 0, instances * 0, **OPTIONS)
    assert not np.array_equal(none, alone)


def test_a_point_outside_of_the_image_is_drawn_beside_it():
    inside = failure_crop(IMAGE, [40.0, 30.0], 0, np.zeros((60, 80), int), **OPTIONS)
    beside = failure_crop(IMAGE, [85.0, 30.0], 0, np.zeros((60, 80), int), **OPTIONS)
    far = failure_crop(IMAGE, [9e9, -1e6], 0, np.zeros((60, 80), int), **OPTIONS)
    assert has(inside, PALETTE[0]) and has(beside, PALETTE[0]) and not has(far, PALETTE[0])


def test_a_map_with_other_classes_is_refused():
    with pytest.raises(ValueError, match=r'expected values 0..2 or 255, got \[7\]'):
        failure_crop(
            IMAGE, [1, 1], 0, MASK.astype(int), semantic_map=np.full((60, 80), 7), **OPTIONS
        )
