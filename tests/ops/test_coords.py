import numpy as np
import torch

from mmp2seg.ops.coords import (
    misplaced_points,
    pixel_centers,
    points_inside,
    points_to_pixels,
)


def test_pixel_centers_are_x_then_y():
    centers = pixel_centers(2, 3)
    assert centers.shape == (2, 2, 3)
    assert centers[0].tolist() == [[0.5, 1.5, 2.5], [0.5, 1.5, 2.5]]
    assert centers[1].tolist() == [[0.5, 0.5, 0.5], [1.5, 1.5, 1.5]]
    assert pixel_centers(1, 1, dtype=torch.float64).dtype == torch.float64


def test_points_to_pixels_gives_row_and_column():
    points = np.array([[0.0, 0.0], [2.99, 1.0], [3.0, 0.5]])
    assert points_to_pixels(points).tolist() == [[0, 0], [1, 2], [0, 3]]
    assert points_to_pixels(np.zeros((0, 2))).shape == (0, 2)


def test_first_row_and_column_are_inside_and_the_far_border_is_not():
    points = [[0, 0], [0, 1.5], [3, 1], [1, 2], [-0.1, 0], [2.999, 1.999], [np.nan, 0]]
    inside = points_inside(np.array(points), height=2, width=3)
    assert inside.tolist() == [True, True, False, False, False, True, False]


def test_misplaced_points():
    points = [[1.0, 1.0], [1.0, 1.0], [1.0, 1.0], [9.0, 1.0], [9.0, 1.0], [0.0, 0.0]]
    reasons = misplaced_points(np.array(points), np.array([0, 1, 0, 0, 0, 0]), 4, 6)
    assert reasons.tolist() == ['', '', 'duplicate', 'outside_image', 'outside_image', '']
    assert misplaced_points(np.zeros((0, 2)), np.zeros(0), 4, 6).shape == (0,)
