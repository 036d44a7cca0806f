import numpy as np
import pytest

from mmp2seg.converters.point_rules import PointRule, box_center

SIZE = dict(height=30, width=40)
# A ring of 7 x 5 pixels whose crop starts at pixel (row 10, col 20).
RING = np.ones((5, 7), bool)
RING[1:-1, 1:-1] = False
CROP = (RING, (20, 10))


def draw(rule, number=1, **arguments):
    return rule.draw(number, **{**SIZE, 'crop': CROP, 'box': [20, 10, 7, 5], **arguments})


def is_on_ring(point):
    col, row = point[0] - 20.5, point[1] - 10.5
    return col == int(col) and row == int(row) and bool(RING[int(row), int(col)])


def test_box_center_is_not_pulled_inside():
    rule = PointRule('box-center')
    assert not rule.needs_mask
    assert draw(rule, crop=None) == [[23.5, 12.5]]
    assert draw(rule, crop=None, box=(1.25, 2, 3, 4.5)) == [[2.75, 4.25]]


def test_mass_center_is_pulled_inside():
    rule = PointRule('mass-center')
    assert rule.needs_mask
    assert draw(rule, box=None) == [[23.5, 10.5]]


def test_random_takes_each_pixel_of_the_mask():
    rule = PointRule('random')
    points = [draw(rule, number, box=None)[0] for number in range(400)]
    assert all(map(is_on_ring, points))
    assert len({tuple(point) for point in points}) == RING.sum() == 20


@pytest.mark.parametrize('name', ['random', 'gaussian'])
def test_points_depend_on_seed_and_number_alone(name):
    options = dict(sigma=3.0) if name == 'gaussian' else {}
    first, second = (PointRule(name, seed=seed, num_points=3, **options) for seed in (0, 1))
    assert draw(first, 7) == draw(first, 7)
    assert draw(first, 7) != draw(first, 8)
    assert draw(first, 7) != draw(second, 7)
    assert draw(first, 7)[:1] == draw(PointRule(name, **options), 7)
    assert len({tuple(point) for point in draw(first, 7)}) == 3


def test_gaussian_inside_is_on_the_mask():
    rule = PointRule('gaussian', sigma=4.0, num_points=5)
    assert rule.needs_mask
    assert all(is_on_ring(point) for number in range(20) for point in draw(rule, number))
    assert draw(PointRule('gaussian', sigma=0.0)) == draw(PointRule('mass-center'))


def test_gaussian_about_the_box_has_its_sigma():
    rule = PointRule('gaussian', sigma=2.0, center='box', inside=False)
    assert not rule.needs_mask
    box = [10.0, 5.0, 20.0, 20.0]
    points = np.array([draw(rule, n, box=box, crop=None)[0] for n in range(2000)])
    np.testing.assert_allclose(points.mean(0), [20, 15], atol=0.15)
    np.testing.assert_allclose(points.std(0), 2, atol=0.1)
    # An eighth of the square root of the area, 20 x 20, is 2.5 pixels.
    relative = PointRule('gaussian', sigma=0.125, relative=True, center='box', inside=False)
    wide = np.array([draw(relative, n, box=box, crop=None)[0] for n in range(2000)])
    np.testing.assert_allclose(wide.std(0) / points.std(0), 1.25, atol=0.01)


def test_gaussian_about_the_mass_is_relative_to_the_mask():
    rule = PointRule('gaussian', sigma=0.5, relative=True, inside=False)
    assert rule.needs_mask
    same = PointRule('gaussian', sigma=0.5 * np.sqrt(20), inside=False)
    assert draw(rule, 3, box=None) == draw(same, 3, box=None)


def test_gaussian_stays_in_the_image():
    rule = PointRule('gaussian', sigma=1000.0, inside=False)
    points = np.array([draw(rule, number, box=None)[0] for number in range(40)])
    assert {0.5, 39.5} <= set(points[:, 0]) and {0.5, 29.5} <= set(points[:, 1])
    assert (points >= 0.5).all() and (points <= [39.5, 29.5]).all()


def test_points_are_plain_numbers():
    rules = [PointRule('box-center'), PointRule('mass-center'), PointRule('random')]
    for rule in [*rules, PointRule('gaussian', sigma=1.0, inside=False)]:
        assert [type(value) for point in draw(rule) for value in point] == [float, float]


@pytest.mark.parametrize(
    ('box', 'message'),
    [
        (None, 'four numbers x, y, w, h, got None'),
        ([1, 2, 3], 'four numbers'),
        ([1, 2, 'a', 3], 'four numbers'),
        ([1, 2, float('nan'), 3], 'four numbers'),
        ([1, 2, 10**400, 3], 'four numbers'),
        ([1, 2, True, 3], 'four numbers'),
        ([1, 2, 0, 3], r'no area: \[1, 2, 0, 3\]'),
        ([1, 2, 3, -1], 'no area'),
        ([38, 2, 4, 3], r'centre \(40, 3.5\) of its bbox is outside of the image, 40 x 30'),
        ([2, -9, 4, 3], r'centre \(4, -7.5\)'),
    ],
)
def test_boxes_without_centre(box, message):
    with pytest.raises(ValueError, match=message):
        box_center(box, **SIZE)
    for rule in (
        PointRule('box-center'),
        PointRule('gaussian', sigma=1.0, center='box', inside=False),
    ):
        with pytest.raises(ValueError, match=message):
            draw(rule, box=box)


@pytest.mark.parametrize('name', ['mass-center', 'random', 'gaussian'])
def test_masks_without_pixels(name):
    rule = PointRule(name, sigma=1.0 if name == 'gaussian' else None)
    for empty in (np.zeros((0, 0), bool), np.zeros((3, 4), bool)):
        with pytest.raises(ValueError, match='its mask has no pixels'):
            draw(rule, crop=(empty, (0, 0)))


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(name='center'), r"expected rule to be one of .*, got 'center'"),
        (dict(name='gaussian', sigma=1.0, center='point'), "expected center .*, got 'point'"),
        (dict(name='gaussian'), 'expected --sigma >= 0 with --rule gaussian, got None'),
        (dict(name='gaussian', sigma=-1.0), 'got -1.0'),
        (dict(name='gaussian', sigma=float('inf')), 'got inf'),
        (
            dict(name='random', sigma=1.0, inside=False),
            'expected --sigma --anywhere with --rule gaussian only, got --rule random',
        ),
        (
            dict(name='random', center='box', relative=True),
            'expected --relative --center with --rule gaussian only, got --rule random',
        ),
        (dict(name='random', num_points=0), 'expected --num-points 1, .* got 0 with'),
        (
            dict(name='mass-center', num_points=2),
            'or more with --rule random or gaussian, got 2 with --rule mass-center',
        ),
        (dict(name='random', seed=-1), '--seed >= 0, got -1'),
    ],
)
def test_rules_that_make_no_sense(options, message):
    with pytest.raises(ValueError, match=message):
        PointRule(**options)


def test_describe():
    assert PointRule('box-center', seed=3).describe() == 'box-center'
    assert PointRule('random', seed=3, num_points=2).describe() == (
        'random, 2 points per object, seed 3'
    )
    rule = PointRule('gaussian', sigma=0.15, relative=True, center='box', inside=False)
    assert rule.describe() == (
        'gaussian, sigma 0.15 root of the area around the centre of the box, '
        'not moved inside the mask, seed 0'
    )


def test_the_given_point_is_taken_as_it_is():
    rule = PointRule('given')
    assert not rule.needs_mask and rule.describe() == 'given'
    assert draw(rule, point=[0, 29.75], crop=None, box=None) == [[0.0, 29.75]]
    for point, message in (
        (None, 'its point: expected a point'),
        ([40, 3], 'outside of the image, 40 x 30'),
    ):
        with pytest.raises(ValueError, match=message):
            draw(rule, point=point)
