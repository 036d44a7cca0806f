import dataclasses

import cv2
import numpy as np
import pytest

from mmp2seg.ops.degradation import DegradationLevels, degrade_semantic_map
from mmp2seg.ops.semantic_iou import confusion_matrix, mean_iou

NOTHING = DegradationLevels(border=0, bias=0, holes=0, lost_small=0, false_regions=0, confusion=0)


def scene(height=120, width=160):
    """A disc of class 0, a box of class 2 cut by the border, and a void line."""
    semantic_map = np.zeros((height, width), np.uint8)
    cv2.circle(semantic_map, (width // 3, height // 2), height // 4, 1, -1)
    semantic_map[height // 5 : height // 2, -width // 4 :] = 3
    semantic_map[:, width // 3] = 255
    return semantic_map


def degrade(semantic_map, seed=0, **kwargs):
    kwargs = dict(num_classes=4) | kwargs
    return degrade_semantic_map(semantic_map, rng=np.random.default_rng(seed), **kwargs)


def test_strength_zero_changes_nothing_and_returns_a_new_map():
    semantic_map = scene()
    weak_map = degrade(semantic_map, strength=0)
    np.testing.assert_array_equal(weak_map, semantic_map)
    assert weak_map is not semantic_map


def test_levels_of_nothing_change_nothing():
    np.testing.assert_array_equal(degrade(scene(), levels=NOTHING), scene())


def test_same_seed_same_map_other_seed_another():
    np.testing.assert_array_equal(degrade(scene(), 3), degrade(scene(), 3))
    assert not np.array_equal(degrade(scene(), 3), degrade(scene(), 4))


def test_input_is_left_alone():
    semantic_map = scene()
    degrade(semantic_map)
    np.testing.assert_array_equal(semantic_map, scene())


@pytest.mark.parametrize('seed', range(8))
def test_values_are_valid_and_ignore_stays_where_it_is(seed):
    semantic_map = scene()
    weak_map = degrade(semantic_map, seed, strength=2)
    assert weak_map.shape == semantic_map.shape
    assert weak_map.dtype == np.uint8
    assert set(np.unique(weak_map)) <= {0, 1, 2, 3, 4, 255}
    np.testing.assert_array_equal(weak_map == 255, semantic_map == 255)


def test_miou_falls_with_strength():
    levels = DegradationLevels(present=1.0)  # a class that the truth lacks would have IoU 0
    values = []
    for strength in (0.25, 0.5, 1, 2):
        weak_maps = [degrade(scene(), i, strength=strength, levels=levels) for i in range(12)]
        matrix = sum(confusion_matrix(map_, scene(), num_classes=4) for map_ in weak_maps)
        values.append(mean_iou(matrix))
    assert values == sorted(values, reverse=True)
    assert values[0] > 0.85
    assert values[-1] < 0.65


def test_quality_does_not_depend_on_the_size_of_the_image():
    def miou(height, width):
        matrix = 0
        for i in range(25):
            semantic_map = scene(height, width)
            semantic_map[semantic_map == 255] = 0
            weak_map = degrade(semantic_map, i)
            matrix = matrix + confusion_matrix(weak_map, semantic_map, num_classes=4)[[0, 1, 3]]
        return np.diag(matrix[:, [0, 1, 3]]).sum() / matrix.sum()

    assert abs(miou(90, 120) - miou(360, 480)) < 0.03


def test_small_components_are_lost_and_large_ones_are_not():
    semantic_map = np.zeros((100, 100), np.uint8)
    semantic_map[10:14, 10:14] = 1  # 16 px, under the 60 px of small_area
    semantic_map[40:80, 40:80] = 2
    levels = dataclasses.replace(NOTHING, lost_small=1.0)
    weak_map = degrade(semantic_map, levels=levels)
    assert not (weak_map == 1).any()
    assert (weak_map == 2).sum() == 1600


def test_border_moves_both_ways_and_stays_near():
    semantic_map = np.zeros((100, 100), np.uint8)
    cv2.circle(semantic_map, (50, 50), 25, 1, -1)
    weak_map = degrade(semantic_map, levels=dataclasses.replace(NOTHING, border=0.14))
    assert ((weak_map == 1) & (semantic_map == 0)).any()
    assert ((weak_map == 0) & (semantic_map == 1)).any()
    assert weak_map[50, 50] == 1
    assert not weak_map[:5].any()


def test_holes_only_take_pixels_away():
    semantic_map = scene()
    weak_map = degrade(semantic_map, levels=dataclasses.replace(NOTHING, holes=4.0))
    changed = weak_map != semantic_map
    assert changed.any()
    assert (weak_map[changed] == 0).all()


@pytest.mark.parametrize(('present', 'allowed'), [(1.0, {1, 3}), (0.0, {1, 2, 3, 4})])
def test_false_regions_lie_on_background_alone(present, allowed):
    levels = dataclasses.replace(NOTHING, false_regions=6.0, present=present)
    seen = set()
    for seed in range(10):
        weak_map = degrade(scene(), seed, levels=levels)
        changed = weak_map != scene()
        assert (scene()[changed] == 0).all()
        seen |= set(np.unique(weak_map[changed]))
    assert seen == allowed


def test_confusion_changes_the_class_of_a_part():
    levels = dataclasses.replace(NOTHING, confusion=1.0, present=1.0)
    weak_map = degrade(scene(), levels=levels)
    changed = weak_map != scene()
    assert 0 < changed.sum() < (np.isin(scene(), (1, 3))).sum()
    pairs = np.stack([scene()[changed], weak_map[changed]], 1)
    assert {tuple(pair) for pair in pairs} <= {(1, 3), (3, 1)}


def test_image_of_one_class_alone():
    full = np.full((30, 40), 2, np.uint8)
    weak_map = degrade(full, strength=1)
    assert set(np.unique(weak_map)) <= {0, 1, 2, 3, 4}


def test_maps_without_objects():
    assert degrade(np.zeros((0, 5), np.uint8)).shape == (0, 5)
    void = np.full((20, 20), 255, np.uint8)
    np.testing.assert_array_equal(degrade(void, strength=3), void)
    empty = np.zeros((40, 40), np.uint8)
    levels = dataclasses.replace(NOTHING, false_regions=5.0, present=0.0)
    assert degrade(empty, levels=levels).any()


def test_single_class_and_single_pixel():
    semantic_map = np.zeros((9, 9), np.uint8)
    semantic_map[4, 4] = 1
    for seed in range(20):
        weak_map = degrade(semantic_map, seed, num_classes=1, strength=3)
        assert set(np.unique(weak_map)) <= {0, 1}


@pytest.mark.parametrize(
    ('semantic_map', 'kwargs', 'message'),
    [
        (np.zeros((2, 3), np.int64), {}, r'\(2, 3\) int64'),
        (np.zeros((1, 2, 3), np.uint8), {}, r'\(1, 2, 3\)'),
        (np.full((2, 2), 5, np.uint8), {}, 'expected values 0..4 or 255 in the map, got 5'),
        (np.zeros((2, 2), np.uint8), dict(strength=-1), 'strength >= 0, got -1'),
        (np.zeros((2, 2), np.uint8), dict(num_classes=0), 'got 0'),
    ],
)
def test_wrong_input_is_an_error(semantic_map, kwargs, message):
    with pytest.raises(ValueError, match=message):
        degrade(semantic_map, **kwargs)
