import numpy as np
import pytest

from mmp2seg.ops.point_sampling import (
    center_inside,
    mass_center,
    near_center_inside,
    nearest_inside,
    random_inside,
    sample_inside,
    scatter,
)


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
        lambda mask: sample_inside(mask, np.random.default_rng(0), count=2),
        lambda mask: nearest_inside(mask, np.zeros((1, 2))),
        mass_center,
    ],
)
def test_masks_without_pixels_or_of_another_shape_are_errors(make):
    with pytest.raises(ValueError, match=r'empty one of \(3, 4\)'):
        make(np.zeros((3, 4), bool))
    with pytest.raises(ValueError, match=r'got \(1, 3, 4\)'):
        make(np.ones((1, 3, 4), bool))


def nearest_by_definition(mask, target_xy):
    rows, cols = np.nonzero(mask)
    squared = (cols + 0.5 - target_xy[0]) ** 2 + (rows + 0.5 - target_xy[1]) ** 2
    return [cols[squared.argmin()] + 0.5, rows[squared.argmin()] + 0.5]


def test_nearest_inside_is_that_of_all_pixels():
    rng = np.random.default_rng(0)
    for case in range(200):
        mask = rng.random(rng.integers(1, 60, 2)) < (0.002, 0.02, 0.5)[case % 3]
        mask.flat[rng.integers(mask.size)] = True
        # Half of the targets are pixel corners, where several centres are equally near.
        target_xy = rng.uniform(-30, 90, 2)
        target_xy = target_xy.round() if case % 2 else target_xy
        (found,) = nearest_inside(mask, target_xy[None])
        assert found.tolist() == nearest_by_definition(mask, target_xy)


def test_nearest_inside_of_a_far_target_and_of_a_corner_of_four_pixels():
    mask = mask_of('....', '.##.', '.##.')
    targets = np.array([[1e6, -1e6], [2.0, 2.0]])
    found = [nearest_inside(mask, target[None])[0].tolist() for target in targets]
    assert found == [[2.5, 1.5], [1.5, 1.5]]


def test_nearest_inside_serves_targets_in_order_and_each_pixel_once():
    mask = mask_of('.....', '.###.')
    found = nearest_inside(mask, np.full((7, 2), [2.5, 1.5]))
    xs = [2.5, 1.5, 3.5]
    assert found.tolist() == [[x, 1.5] for x in [*xs, *xs, 2.5]]
    assert mask.sum() == 3  # the argument is not changed
    assert nearest_inside(mask, np.zeros((0, 2))).shape == (0, 2)


def test_mass_center():
    np.testing.assert_array_equal(mass_center(RING), [2.5, 2.5])
    np.testing.assert_array_equal(mass_center(mask_of('##.', '...')), [1.0, 0.5])
    mask = np.random.default_rng(0).random((70, 90)) < 0.3
    expected = np.argwhere(mask)[:, ::-1].mean(0) + 0.5
    for same in (mask, np.asfortranarray(mask), mask[::-1][::-1]):
        np.testing.assert_allclose(mass_center(same), expected, rtol=1e-12)


def test_sample_inside_takes_each_pixel_once_then_again():
    rng = np.random.default_rng(0)
    points = sample_inside(RING, rng, count=20)
    assert len({tuple(point) for point in points[:16].tolist()}) == 16
    assert all(RING[int(y), int(x)] for x, y in points)


@pytest.mark.parametrize(
    'draw',
    [
        lambda rng, count: sample_inside(RING, rng, count=count),
        lambda rng, count: scatter([3.0, 4.0], rng, sigma=2.0, count=count),
    ],
)
def test_more_points_begin_with_the_fewer(draw):
    few, many = (draw(np.random.default_rng(5), count) for count in (2, 6))
    np.testing.assert_array_equal(many[:2], few)


def test_scatter_has_its_mean_and_sigma():
    points = scatter([3.0, 40.0], np.random.default_rng(0), sigma=2.0, count=20000)
    np.testing.assert_allclose(points.mean(0), [3, 40], atol=0.06)
    np.testing.assert_allclose(points.std(0), 2, atol=0.05)
    still = scatter([3.0, 40.0], np.random.default_rng(0), sigma=0, count=2)
    np.testing.assert_array_equal(still, [[3, 40]] * 2)
