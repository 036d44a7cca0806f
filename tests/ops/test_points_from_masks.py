import numpy as np
import pytest

from mmp2seg.ops.points_from_masks import center_inside, near_center_inside, random_inside


def mask_of(*rows):
    return np.array([[char == '#' for char in row] for row in rows])


RING = mask_of('#####', '#...#', '#...#', '#...#', '#####')


def test_center_of_a_box_is_its_middle_pixel():
    np.testing.assert_array_equal(
        center_inside(mask_of('.....', '.###.', '.###.', '.###.')), [2.5, 2.5]
    )


def test_center_of_a_ring_is_pulled_onto_it():
    # Centre of mass (2.5, 2.5); the nearest pixels are the middles of the sides, the upper first.
    np.testing.assert_array_equal(center_inside(RING), [2.5, 0.5])


def test_center_of_one_pixel():
    point = center_inside(mask_of('...', '..#'))
    np.testing.assert_array_equal(point, [2.5, 1.5])
    assert point.dtype == np.float32


def test_center_moves_with_the_mask_and_flips_with_it():
    mask = np.zeros((12, 10), bool)
    mask[2:5, 1:4] = mask[4, 1:8] = True
    x, y = center_inside(mask)
    np.testing.assert_array_equal(center_inside(np.roll(mask, (3, 1), (0, 1))), [x + 1, y + 3])
    np.testing.assert_array_equal(center_inside(mask[:, ::-1]), [10 - x, y])


def test_random_point_reaches_every_pixel_and_no_other():
    rng = np.random.default_rng(0)
    counts = np.zeros(RING.shape, int)
    for _ in range(1600):
        x, y = random_inside(RING, rng)
        assert (x % 1, y % 1) == (0.5, 0.5)
        counts[int(y), int(x)] += 1
    assert (counts[~RING] == 0).all()
    assert counts[RING].min() > 50  # 100 expected


def test_near_center_is_inside_and_closer_than_random():
    rng = np.random.default_rng(0)
    mask = np.ones((21, 31), bool)

    def spread(points):
        return np.hypot(*(np.array(points) - [15.5, 10.5]).T).mean()

    near = [near_center_inside(mask, rng, spread=0.1) for _ in range(200)]
    assert 0 < spread(near) < 0.5 * spread([random_inside(mask, rng) for _ in range(200)])
    for _ in range(50):
        x, y = near_center_inside(RING, rng)
        assert RING[int(y), int(x)]
    np.testing.assert_array_equal(near_center_inside(mask, rng, spread=0), center_inside(mask))


@pytest.mark.parametrize('make', [random_inside, near_center_inside])
def test_same_seed_same_point(make):
    first, second = (make(RING, np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    'make',
    [
        center_inside,
        lambda mask: random_inside(mask, np.random.default_rng(0)),
        lambda mask: near_center_inside(mask, np.random.default_rng(0)),
    ],
)
def test_masks_without_pixels_or_of_another_shape_are_errors(make):
    with pytest.raises(ValueError, match=r'empty one of \(3, 4\)'):
        make(np.zeros((3, 4), bool))
    with pytest.raises(ValueError, match=r'got \(1, 3, 4\)'):
        make(np.ones((1, 3, 4), bool))
