import math

import numpy as np

from mmp2seg.ops.coords import points_inside, points_to_pixels
from mmp2seg.ops.image_edge import onto_last_pixel


def test_the_right_and_the_lower_edge_belong_to_the_last_pixel():
    points = [[12, 8], [12, 3.5], [3.5, 8], [0, 0], [11.999, 7.999], [12.001, 3], [math.nan, 8]]
    moved = onto_last_pixel(points, 8, 12)
    assert points_to_pixels(moved[:3]).tolist() == [[7, 11], [3, 11], [7, 3]]
    assert points_inside(moved, 8, 12).tolist() == [True] * 5 + [False] * 2
    np.testing.assert_array_equal(moved[3:6], points[3:6])
    assert onto_last_pixel([], 8, 12).shape == (0, 2)


def test_per_cent_are_rounded():
    """100 % of 49 pixels can be 49.00000000000001, and is the edge all the same."""
    moved = onto_last_pixel([[49 * (1 + 1e-15), 49 * (1 + 1e-8)]], 49, 49)
    assert points_to_pixels(moved).tolist() == [[49, 48]]


def test_no_resize_rounds_a_moved_point_onto_the_edge_again():
    for side in (3, 40, 499, 4096):
        (moved,) = onto_last_pixel([[side, side]], side, side)
        for scale in np.random.default_rng(0).uniform(0.1, 10, 200):
            assert (moved * scale < side * scale).all()
            assert (np.float32(moved) * np.float32(scale) < np.float32(side * scale)).all()
