import numpy as np
import pytest

from mmp2seg.visualization.affinity_panels import (
    affinity_row,
    cells_to_pixels,
    draw_cell,
    draw_heat_map,
    join_rows,
    semantic_row,
)

PALETTE = [(200, 10, 20), (30, 210, 40)]
FRAME = dict(grid=(4, 6), padded_size=(40, 60))  # cells of 10 pixels
IMAGE = np.full((38, 55, 3), 90, dtype=np.uint8)  # smaller than the padded input


def test_heat_map_scale_is_fixed():
    low, middle, high = draw_heat_map(np.array([[0.0, 0.5, 1.0]]))[0].astype(int)
    assert low[2] > low[0] > low[1] and low.sum() < 200  # dark violet
    assert middle[1] > middle[0] and middle[2] > middle[0]  # teal
    assert high[0] > 200 and high[1] > 200 > high[2]  # yellow
    assert np.array_equal(draw_heat_map(np.array([[0.5]]))[0, 0], middle)


@pytest.mark.parametrize('values', [[0.0, 1.5], [-0.25, 1.0], [np.nan, 0.5]])
def test_heat_map_of_other_values_is_refused(values):
    with pytest.raises(ValueError, match=r'expected values in \[0, 1\], got '):
        draw_heat_map(np.array([values]))


def test_cells_to_pixels_by_hand():
    values = np.array([[0.1, 0.2], [0.3, 0.4]], dtype=np.float32)
    pixels = cells_to_pixels(values, padded_size=(4, 6), size=(3, 5))
    upper, lower = [0.1] * 3 + [0.2] * 2, [0.3] * 3 + [0.4] * 2
    assert np.array_equal(pixels, np.array([upper, upper, lower], dtype=np.float32))


def test_cell_is_framed_and_its_own_pixels_stay():
    drawn = draw_cell(IMAGE, (1, 2), **FRAME)
    changed = np.argwhere((drawn != IMAGE).any(axis=-1))
    assert changed.min(axis=0).tolist() == [8, 18]
    assert changed.max(axis=0).tolist() == [21, 31]
    assert (drawn[10:20, 20:30] == 90).all()
    assert (drawn[9, 20:30] == 255).all() and (drawn[22] == 90).all()
    assert (IMAGE == 90).all()


def test_text_is_put_beside_the_cell():
    plain, named = (draw_cell(IMAGE, (1, 2), **FRAME, text=text) for text in ('', '7'))
    different = np.argwhere((plain != named).any(axis=-1))
    assert len(different) and different[:, 1].min() >= 30


def test_affinity_row():
    affinity = np.zeros((2, 4, 6), dtype=np.float32)
    affinity[0, 1, 2] = affinity[1, 3, 0] = 1
    points = np.array([[25.0, 15.0], [5.0, 32.0], [45.0, 5.0]])
    row = affinity_row(
        IMAGE,
        points,
        [0, 1, 1],
        np.array([[1, 2], [3, 0]]),
        affinity,
        palette=PALETTE,
        padded_size=(40, 60),
    )
    panels = dict(row)
    assert list(panels) == ['image and points', 'affinity of point 1', 'affinity of point 2']
    assert {panel.shape for panel in panels.values()} == {IMAGE.shape}
    image = panels['image and points']
    assert tuple(image[15, 25]) == PALETTE[0]
    assert tuple(image[5, 45]) == PALETTE[1]  # not among the chosen ones
    low, high = draw_heat_map(np.array([[0.0, 1.0]]))[0]
    for number, (own, other) in ((1, ((15, 25), (35, 5))), (2, ((35, 5), (15, 25)))):
        heat = panels[f'affinity of point {number}']
        assert np.array_equal(heat[own], high) and np.array_equal(heat[other], low)


def test_image_without_points():
    nothing = np.zeros((0, 2))
    row = affinity_row(
        IMAGE, nothing, [], nothing, np.zeros((0, 4, 6)), palette=PALETTE, padded_size=(40, 60)
    )
    assert [title for title, _ in row] == ['image and points']
    assert np.array_equal(row[0][1], IMAGE)


def test_semantic_row_and_picture():
    maps = {'weak map': np.array([[0, 1], [2, 255]]), 'other': np.zeros((2, 2), dtype=np.int64)}
    row = semantic_row(maps, PALETTE)
    assert [title for title, _ in row] == ['weak map', 'other']
    assert row[0][1][0, 1].tolist() == list(PALETTE[0])
    two_rows, one_row = join_rows(row, row), join_rows(row, [])
    assert two_rows.shape[0] > 640 > one_row.shape[0]
    assert two_rows.shape[1] == one_row.shape[1]
