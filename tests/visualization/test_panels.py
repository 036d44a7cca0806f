import cv2
import numpy as np
import pytest

from mmp2seg.visualization.colors import distinct_colors
from mmp2seg.visualization.panels import (
    IGNORE_COLOR,
    draw_instance_map,
    draw_instances,
    draw_offset_field,
    draw_outlines,
    draw_points,
    draw_semantic_map,
    panel_grid,
    panel_row,
    picture_path,
    wrap_panels,
    write_png,
)

PALETTE = [(200, 10, 20), (30, 210, 40)]


def black(height=40, width=60):
    return np.zeros((height, width, 3), dtype=np.uint8)


def test_points_are_drawn_on_their_pixel_in_the_colour_of_their_class():
    image = black()
    drawn = draw_points(image, np.array([[10.9, 5.2], [50.0, 30.0]]), [1, 0], PALETTE)
    assert tuple(drawn[5, 10]) == PALETTE[1]
    assert tuple(drawn[30, 50]) == PALETTE[0]
    assert not image.any()
    rows, cols = np.nonzero(drawn[:20].any(axis=-1))
    assert (rows.mean(), cols.mean()) == (5, 10)


def test_crosses_differ_from_discs():
    points = np.array([[20.5, 20.5]])
    disc, cross = (draw_points(black(), points, [0], PALETTE, crossed=c) for c in (False, True))
    assert tuple(cross[20, 20]) == PALETTE[0]
    assert not np.array_equal(disc, cross)


def test_points_outside_and_no_points():
    for points in (np.zeros((0, 2)), np.array([[-30.0, 5.0], [500.0, 5.0]])):
        assert not draw_points(black(), points, [0] * len(points), PALETTE).any()


def test_semantic_map_by_hand():
    drawn = draw_semantic_map(np.array([[0, 1], [2, 255]], dtype=np.uint8), PALETTE)
    assert drawn.tolist() == [[[0, 0, 0], [200, 10, 20]], [[30, 210, 40], list(IGNORE_COLOR)]]


def test_semantic_map_with_an_unknown_class():
    with pytest.raises(ValueError, match=r'values 0\.\.2 or 255, got \[3, 9\]'):
        draw_semantic_map(np.array([[9, 3, 1]]), PALETTE)


def uniform_field(dx, dy, height=30, width=30):
    return np.stack([np.full((height, width), value, np.float32) for value in (dx, dy)])


def test_offset_direction_is_the_hue_of_the_legend():
    size, radius = 30, 6  # the wheel's centre is radius + 2 pixels from the last row and column
    center = size - 1 - (radius + 2)
    for dx, dy in ((5, 0), (-5, 0), (0, 5), (0, -5)):
        drawn = draw_offset_field(uniform_field(dx, dy))
        rim = drawn[center + radius * np.sign(dy), center + radius * np.sign(dx)]
        assert np.array_equal(rim, drawn[0, 0])
    rights, lefts = (draw_offset_field(uniform_field(dx, 0))[0, 0] for dx in (5, -5))
    assert np.abs(rights.astype(int) - lefts).max() > 100


def test_offset_of_zero_is_white_and_length_is_saturation():
    field = uniform_field(0, 0)
    field[0, 0] = 4
    field[0, 1] = 2
    drawn = draw_offset_field(field, legend=False)
    assert drawn.shape == (30, 30, 3)
    assert (drawn[5] == 255).all()
    saturation = drawn.max(axis=-1).astype(int) - drawn.min(axis=-1)
    assert saturation[0, 0] > 50
    assert saturation[0, 0] == pytest.approx(2 * saturation[1, 0], abs=1)
    assert (draw_offset_field(uniform_field(0, 0), legend=False) == 255).all()


def test_max_length_fixes_the_scale_and_shortens():
    short = draw_offset_field(uniform_field(2, 0), max_length=4, legend=False)
    mixed = uniform_field(2, 0)
    mixed[0, 0, 0] = 4
    assert np.array_equal(short[1], draw_offset_field(mixed, legend=False)[1])
    long = draw_offset_field(uniform_field(400, 0), max_length=4, legend=False)
    assert np.array_equal(long, draw_offset_field(uniform_field(4, 0), legend=False))


def test_invalid_offsets_are_black_and_do_not_count():
    field = uniform_field(1, 0)
    field[0, 0, 0] = 1000
    valid = np.ones((30, 30), dtype=bool)
    valid[0, 0] = False
    before = field.copy()
    drawn = draw_offset_field(field, valid=valid, legend=False)
    assert not drawn[0, 0].any()
    assert np.array_equal(drawn[1], draw_offset_field(uniform_field(1, 0), legend=False)[1])
    assert np.array_equal(field, before)
    assert not draw_offset_field(field, valid=valid & False, legend=False).any()


def test_small_fields_have_no_room_for_a_legend():
    assert draw_offset_field(uniform_field(1, 1, 4, 4)).shape == (4, 4, 3)


def test_instances_have_own_colours_and_contours():
    masks = np.zeros((2, 40, 60), dtype=bool)
    masks[0, 5:15, 5:15] = True
    masks[1, 20:35, 20:50] = True
    drawn = draw_instances(black(), masks, [0, 0])
    first, second = (np.array(color) for color in distinct_colors(2))
    assert np.array_equal(drawn[5, 5], first)
    assert np.array_equal(drawn[20, 20], second)
    assert np.allclose(drawn[10, 10], first / 2, atol=1)
    assert not drawn[0].any()
    with_points = draw_instances(black(), masks, [0, 1], [[10, 10], [30, 30]], palette=PALETTE)
    assert tuple(with_points[30, 30]) == PALETTE[1]


def test_instances_keep_holes_and_overlaps_visible():
    masks = np.zeros((2, 40, 60), dtype=bool)
    masks[0, 5:35, 5:35] = True
    masks[0, 15:25, 15:25] = False
    assert not draw_instances(black(), masks[:1], [0])[20, 20].any()


def test_instance_map_is_drawn_like_masks():
    instance_map = np.zeros((40, 60), np.int32)
    instance_map[5:15, 5:15] = 1
    instance_map[8:12, 8:12] = 0  # a hole
    instance_map[20:35, 20:50] = 3
    masks = np.stack([instance_map == number for number in (1, 2, 3)])
    image = np.full((40, 60, 3), 90, np.uint8)
    drawn = draw_instance_map(image, instance_map)
    assert np.array_equal(drawn, draw_instances(image, masks, [0, 0, 0]))
    assert (image == 90).all()
    assert np.array_equal(draw_instance_map(image, instance_map * 0), image)


def test_no_instances():
    image = np.full((40, 60, 3), 7, dtype=np.uint8)
    drawn = draw_instances(image, np.zeros((0, 40, 60), bool), [], np.zeros((0, 2)))
    assert np.array_equal(drawn, image)


def test_row_scales_to_one_height_and_titles_every_panel():
    row = panel_row([('first', black(40, 60)), ('a very long title of a panel', black(200, 20))])
    title_height = row.shape[0] - 320
    assert 10 < title_height < 40
    assert (row[:title_height] < 128).any()
    assert not row[title_height:, :480].any()  # 60 * 320 / 40
    assert (row[title_height:, 480:488] == 255).all()
    narrow = row.shape[1] - 488
    assert narrow > 32  # wider than the second image, as its title is longer


def test_grid_fills_up_with_white():
    grid = panel_grid([black(10, 30), black(10, 20)])
    assert grid.shape == (28, 30, 3)
    assert (grid[18:, 20:] == 255).all()
    assert not grid[18:, :20].any()


def test_nothing_to_join():
    with pytest.raises(ValueError, match='at least one image'):
        panel_row([])
    with pytest.raises(ValueError, match='at least one image'):
        panel_grid([])


def test_png_keeps_the_order_of_the_channels(tmp_path):
    image = black(4, 4)
    image[...] = (250, 100, 3)
    write_png(tmp_path / 'new' / 'a.png', image)
    assert cv2.imread(str(tmp_path / 'new' / 'a.png'))[0, 0].tolist() == [3, 100, 250]


def test_png_of_few_colours(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    for colors in (None, 8):
        write_png(tmp_path / 'new' / f'{colors}.png', image, colors=colors)
    read = cv2.imread(str(tmp_path / 'new' / '8.png'))
    assert read.shape == image.shape
    assert len(np.unique(read.reshape(-1, 3), axis=0)) <= 8
    sizes = [(tmp_path / 'new' / f'{colors}.png').stat().st_size for colors in (8, None)]
    assert sizes[0] < sizes[1]


def test_picture_path():
    names = ['a/1.jpg', 'b/1.jpg', 'a/1.png', '1.jpg', '../1.jpg', 'a/../../1.jpg', '/data/1.jpg']
    paths = [picture_path('out', name).as_posix() for name in names]
    assert paths[:4] == ['out/a/1.jpg.png', 'out/b/1.jpg.png', 'out/a/1.png.png', 'out/1.jpg.png']
    assert paths[4:] == ['out/__/1.jpg.png', 'out/a/__/__/1.jpg.png', 'out/data/1.jpg.png']


def test_outlines_are_the_outermost_pixels_of_a_mask():
    image = np.full((20, 20, 3), 90, np.uint8)
    mask = np.zeros((1, 20, 20), bool)
    mask[0, 5:15, 5:15] = True
    drawn = draw_outlines(image, mask)
    assert drawn[5, 10].tolist() == [255] * 3
    assert drawn[4, 10].tolist() == drawn[6, 10].tolist() == [90] * 3
    assert image[5, 10].tolist() == [90] * 3


def test_panels_wrap():
    image = np.zeros((10, 10, 3), np.uint8)
    one, four = (wrap_panels([('a', image)] * number) for number in (1, 4))
    assert four.shape[0] > 2 * one.shape[0] and four.shape[1] > 3 * one.shape[1]


def test_points_far_outside_are_not_drawn():
    image = np.full((20, 30, 3), 90, np.uint8)
    for crossed in (False, True):
        drawn = draw_points(
            image, np.array([[1e300, 3], [-1e18, 2e9]]), [0, 0], [(255, 0, 0)], crossed=crossed
        )
        assert np.array_equal(drawn, image)
