import numpy as np
import pytest

from mmp2seg.datasets.shapes.render import (
    add_clutter,
    background,
    paint_object,
    photograph,
    random_colour,
    texture,
)

SHAPE = (40, 56)


def make_texture(family, seed=0):
    return texture(
        family,
        SHAPE,
        centre_xy=(28, 20),
        angle=0.0,
        period=8,
        rng=np.random.default_rng(seed),
    )


@pytest.mark.parametrize('family', ['spots', 'stripes', 'grain', 'spokes'])
def test_textures_use_their_range_and_vary(family):
    pattern = make_texture(family)
    assert pattern.shape == SHAPE
    assert 0 <= pattern.min() < 0.3
    assert 0.7 < pattern.max() <= 1
    np.testing.assert_array_equal(pattern, make_texture(family))
    assert not np.allclose(pattern, make_texture(family, 1))


def test_stripes_vary_along_one_axis_and_spots_along_both():
    def steps(family):
        pattern = make_texture(family)
        return [np.abs(np.diff(pattern, axis=axis)).mean() for axis in (0, 1)]

    down, across = steps('stripes')
    assert across > 2.5 * down
    down, across = steps('spots')
    assert 0.6 < across / down < 1.6


def test_unknown_texture_is_an_error():
    with pytest.raises(ValueError, match="got 'fur'"):
        make_texture('fur')


def test_colours_are_bgr_of_any_hue():
    rng = np.random.default_rng(0)
    colours = np.stack([random_colour(rng) for _ in range(200)])
    assert colours.min() >= 0
    assert colours.max() <= 255
    assert set(colours.argmax(1)) == {0, 1, 2}


@pytest.mark.parametrize('seed', range(8))
def test_backgrounds_are_textured(seed):
    image = background(SHAPE, unit=1.0, rng=np.random.default_rng(seed))
    assert image.shape == (*SHAPE, 3)
    assert np.isfinite(image).all()
    assert image.std((0, 1)).max() > 1


def test_clutter_covers_a_part():
    image = np.zeros((*SHAPE, 3), np.float32)
    add_clutter(image, unit=1.0, rng=np.random.default_rng(3))
    covered = (image.max(2) > 20).mean()
    assert 0 < covered < 0.8


def test_object_covers_its_pixels_and_shades_others_alone():
    image = np.full((*SHAPE, 3), 128, np.float32)
    alpha = np.zeros(SHAPE, np.float32)
    alpha[10:25, 20:35] = 1
    paint_object(
        image,
        alpha,
        family='stripes',
        colour=np.float32([200, 60, 60]),
        centre_xy=(27.5, 17.5),
        radius=8.0,
        angle=0.3,
        unit=1.0,
        rng=np.random.default_rng(0),
    )
    assert np.abs(image[alpha == 1] - 128).mean() > 20
    assert (image[alpha == 0] <= 128).all()
    assert (image[:5] == 128).all()


def test_object_over_the_whole_image():
    image = np.full((*SHAPE, 3), 128, np.float32)
    paint_object(
        image,
        np.ones(SHAPE, np.float32),
        family='grain',
        colour=np.float32([200, 60, 60]),
        centre_xy=(28, 20),
        radius=50.0,
        angle=0.0,
        unit=1.0,
        rng=np.random.default_rng(0),
    )
    assert np.isfinite(image).all()


def test_photograph_is_noisy_and_of_eight_bits():
    image = photograph(
        np.full((*SHAPE, 3), 128, np.float32), unit=1.0, rng=np.random.default_rng(0)
    )
    assert image.dtype == np.uint8
    assert image.std() > 1
    assert 60 < image.mean() < 200
