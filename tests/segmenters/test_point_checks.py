import numpy as np
import pytest

from mmp2seg.segmenters.point_checks import checked_points, clicks_inside, drop_reasons

IMAGE = np.zeros((4, 6, 3), np.uint8)


def test_points_and_classes_become_arrays():
    points, classes = checked_points(IMAGE, [[1, 2.5]], [1], 2)
    assert points.tolist() == [[1, 2.5]] and points.dtype == np.float64
    assert classes.tolist() == [1] and classes.dtype == np.int64
    points, classes = checked_points(IMAGE, [], [], 1)
    assert points.shape == (0, 2) and classes.shape == (0,)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ((IMAGE[..., 0], [], [], 1), r'expected an image \(H, W, 3\) uint8, got \(4, 6\) uint8'),
        ((IMAGE.astype(float), [], [], 1), r'got \(4, 6, 3\) float64'),
        ((IMAGE, [], [], 255), 'expected 1 to 254 classes, got 255'),
        ((IMAGE, [[1, 2]], [], 1), 'expected a label for each point, got 0 for 1'),
        ((IMAGE, [[1, 2]], [3], 3), r'expected labels in 0\.\.2, got 3'),
        ((IMAGE, [1, 2], [0], 3), r'expected points \(N, 2\), got the shape \(2,\)'),
    ],
)
def test_broken_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        checked_points(*arguments)


def test_a_point_takes_part_once_inside_the_image_and_first_in_its_pixel():
    points = np.array([[1.2, 1.2], [6, 1], [1.8, 1.8], [1.5, 1.5], [3, 3]])
    found = drop_reasons(points, np.array([0, 0, 0, 1, 0]), 4, 6)
    assert found.tolist() == ['', 'outside_image', 'duplicate', 'no_pixels', '']


def test_clicks_outside_and_repeated_ones_are_left_out():
    found = clicks_inside([[1, 1], [7, 1], [1, 1], [0, 3.9]], 4, 6)
    assert found.tolist() == [[1, 1], [0, 3.9]]
    assert clicks_inside(None, 4, 6).shape == (0, 2)
