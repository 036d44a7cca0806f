import numpy as np
import pytest

from mmp2seg.ops.semantic_map import count_values, is_scaled, lacks_classes, resize_nearest


@pytest.mark.parametrize('rounding', [np.floor, np.ceil, np.round])
@pytest.mark.parametrize('factor', [1 / 16, 1 / 8, 1 / 3, 0.5, 0.73, 1.0, 2.0, 3.7])
def test_sizes_times_a_factor(factor, rounding):
    for full_size in ((375, 500), (500, 333), (1000, 1000)):
        size = tuple(int(rounding(factor * side)) for side in full_size)
        assert is_scaled(size, full_size)


@pytest.mark.parametrize(
    ('size', 'full_size'),
    [
        ((500, 375), (375, 500)),  # height and width swapped
        ((100, 100), (375, 500)),
        ((513, 513), (375, 500)),
        ((375, 496), (375, 500)),
        ((188, 254), (375, 500)),
    ],
)
def test_sizes_of_another_shape(size, full_size):
    assert not is_scaled(size, full_size)


def test_a_pixel_takes_the_number_at_its_centre():
    index_map = np.array([[0, 1, 2], [255, 4, 5]], np.uint8)
    twice = resize_nearest(index_map, (4, 6))
    np.testing.assert_array_equal(twice, index_map.repeat(2, 0).repeat(2, 1))
    np.testing.assert_array_equal(resize_nearest(twice, (2, 3)), index_map)
    # centres at 1/4 and 3/4 of the width: in the first and in the last of three pixels
    np.testing.assert_array_equal(resize_nearest(index_map, (2, 2)), [[0, 2], [255, 5]])


def test_resizing_commutes_with_flips():
    rng = np.random.default_rng(0)
    index_map = rng.integers(0, 255, (15, 21)).astype(np.uint8)
    resized = resize_nearest(index_map, (25, 35))
    np.testing.assert_array_equal(resize_nearest(index_map[:, ::-1], (25, 35)), resized[:, ::-1])


def test_values_are_counted():
    semantic_map = np.array([[0, 0, 2], [255, 3, 0]], np.uint8)
    assert count_values(semantic_map, num_classes=4).tolist() == [3, 0, 1, 1, 0, 1]
    assert count_values(semantic_map[:0], num_classes=1).tolist() == [0, 0, 0]
    with pytest.raises(ValueError, match=r'expected 0 .* 1\.\.2 .* or 255 .*, got 3'):
        count_values(semantic_map, num_classes=2)


@pytest.mark.parametrize(
    ('counts', 'lacks'),
    [([5, 0, 0, 1], True), ([0, 0, 0, 1], True), ([5, 0, 0, 0], False), ([5, 0, 1, 1], False)],
)
def test_maps_that_lack_classes(counts, lacks):
    assert lacks_classes(np.array(counts)) is lacks
