import numpy as np
import pytest

from mmp2seg.analysis.dataset_check.point_positions import (
    PLACES,
    places_of_points,
    regions_and_points,
)

# Values 1 and 2 are classes 0 and 1; two regions of class 0, one of class 1 with one pixel.
MAP = np.array(
    [
        [1, 1, 0, 0, 0, 0, 1, 1],
        [1, 1, 0, 0, 0, 0, 1, 1],
        [0, 0, 0, 0, 0, 0, 1, 1],
        [0, 0, 0, 2, 0, 255, 255, 255],
    ],
    np.uint8,
)


def test_places_of_points():
    points = [[0.5, 0.5], [3.5, 3.2], [4.5, 1.5], [5.0, 3.9], [8.0, 1.0], [-0.1, 1.0]]
    places = places_of_points(np.array(points), [0] * 6, MAP)
    names = [PLACES[place] for place in places]
    assert names == ['on_class', 'other_class', 'background', 'ignore', 'outside', 'outside']
    assert PLACES[places_of_points([[3.5, 3.5]], [1], MAP)[0]] == 'on_class'


def test_regions_and_points():
    points = np.array([[0.5, 0.5], [1.5, 1.5], [2.2, 1.5], [3.5, 1.5], [9.0, 0.5]])
    found = regions_and_points(points, [0, 0, 0, 1, 0], MAP, max_snap_distance=1)
    assert found.labels.tolist() == [0, 0, 1]
    assert found.areas.tolist() == [4, 6, 1]
    assert found.point_regions.tolist() == [1, 1, 1, 0, 0]  # the last one is outside
    assert found.num_points.tolist() == [3, 0, 0]
    assert (found.num_small, found.num_pixels) == (0, 11)
    assert regions_and_points(points, [0, 0, 0, 1, 0], MAP).num_points.tolist() == [2, 0, 0]


def test_small_regions_are_left_out_but_their_pixels_count():
    found = regions_and_points([[3.5, 3.5], [7.5, 0.5]], [1, 0], MAP, min_area=5)
    assert found.areas.tolist() == [6]
    assert found.labels.tolist() == [0]
    assert found.point_regions.tolist() == [0, 1]
    assert (found.num_small, found.num_pixels) == (2, 11)


@pytest.mark.parametrize('semantic_map', [np.zeros((3, 4), np.uint8), MAP])
def test_no_points(semantic_map):
    assert places_of_points(np.zeros((0, 2)), [], semantic_map).shape == (0,)
    found = regions_and_points(np.zeros((0, 2)), [], semantic_map, min_area=2)
    assert found.point_regions.shape == (0,)
    assert not found.num_points.any()
    assert len(found.num_points) == len(found.areas) == (2 if semantic_map.any() else 0)


def test_a_map_without_classes():
    found = regions_and_points([[1.0, 1.0]], [0], np.full((3, 4), 255, np.uint8))
    assert found.point_regions.tolist() == [0]
    assert found.num_points.tolist() == [] and found.num_pixels == 0
