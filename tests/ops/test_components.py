import numpy as np
import pytest

from mmp2seg.ops.components import label_regions, regions_of_points

SEMANTIC_MAP = np.array(
    [
        [1, 1, 0, 2, 2],
        [0, 0, 0, 2, 0],
        [1, 0, 0, 255, 0],
        [1, 0, 3, 0, 1],
    ],
    dtype=np.uint8,
)


def _regions(labels, **options):
    return label_regions(SEMANTIC_MAP, np.array(labels), **options)


def test_regions_are_components_of_the_points_classes_only():
    region_map, values = _regions([0, 0, 1])
    # Class 2 (value 3) has no point; 255 is no class.
    assert values.tolist() == [0, 1, 1, 1, 2]
    assert (region_map > 0).tolist() == np.isin(SEMANTIC_MAP, [1, 2]).tolist()
    assert values[region_map][SEMANTIC_MAP < 3].tolist() == (
        SEMANTIC_MAP[SEMANTIC_MAP < 3].tolist()
    )
    assert len({region_map[0, 0], region_map[3, 0], region_map[3, 4], region_map[0, 3]}) == 4
    assert region_map[0, 0] == region_map[0, 1]


def test_a_class_without_pixels_has_no_region():
    region_map, values = _regions([7, 1])
    assert values.tolist() == [0, 2]
    assert region_map.tolist() == (SEMANTIC_MAP == 2).astype(int).tolist()


@pytest.mark.parametrize('order', ['C', 'F'])
def test_memory_order_of_the_map_does_not_matter(order):
    flipped = np.array(SEMANTIC_MAP[:, ::-1], order=order)[:, ::-1]
    region_map, values = label_regions(flipped, np.array([0, 1]))
    expected, expected_values = _regions([0, 1])
    assert region_map.tolist() == expected.tolist()
    assert values.tolist() == expected_values.tolist()


def test_diagonal_neighbours_are_connected():
    region_map, values = label_regions(np.eye(3, dtype=np.uint8), np.array([0]))
    assert values.tolist() == [0, 1]
    assert region_map.tolist() == np.eye(3, dtype=int).tolist()


def test_small_components_are_left_out():
    region_map, values = _regions([0, 1], min_area=2)
    assert values.tolist() == [0, 1, 1, 2]
    assert region_map[3, 4] == 0
    assert region_map[3, 0] > 0


def test_no_points_no_regions():
    region_map, values = _regions(np.zeros(0, dtype=np.int64))
    assert not region_map.any()
    assert values.tolist() == [0]


def test_point_belongs_to_the_region_of_its_class_at_its_pixel():
    labels = np.array([0, 0, 1, 1])
    points = np.array([[0.0, 0.0], [4.9, 3.9], [3.5, 1.5], [0.5, 0.5]])
    region_map, values = _regions(labels)
    regions = regions_of_points(points, labels, region_map, values)
    assert regions[:3].tolist() == [region_map[0, 0], region_map[3, 4], region_map[1, 3]]
    assert regions[3] == 0  # on class 0, but labelled class 1


def test_point_off_its_class_snaps_to_the_nearest_region_within_reach():
    labels = np.array([0])
    points = np.array([[1.5, 2.5]])  # pixel (2, 1); class-0 pixels at distance 1 and 2
    region_map, values = _regions(labels)
    options = dict(region_map=region_map, region_values=values)
    assert regions_of_points(points, labels, **options, max_snap_distance=0.9).tolist() == [0]
    snapped = regions_of_points(points, labels, **options, max_snap_distance=1.0)
    assert snapped.tolist() == [region_map[2, 0]]


def test_snapping_ignores_nearer_regions_of_other_classes():
    labels = np.array([0, 1])
    points = np.array([[2.5, 0.5], [2.5, 0.5]])  # class 0 at its left, class 1 at its right
    region_map, values = _regions(labels)
    regions = regions_of_points(points, labels, region_map, values, max_snap_distance=2)
    assert regions.tolist() == [region_map[0, 1], region_map[0, 3]]


def test_a_negative_reach_over_the_border_is_cut():
    labels = np.array([0])
    region_map, values = _regions(labels)
    regions = regions_of_points(
        np.array([[0.0, 1.2]]), labels, region_map, values, max_snap_distance=50
    )
    assert regions.tolist() == [region_map[0, 0]]
