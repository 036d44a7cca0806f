import numpy as np
import pytest

from mmp2seg.visualization.mask_pictures import draw_point_masks, point_mask_row
from mmp2seg.visualization.panels import distinct_colors

GREY = np.full((400, 660, 3), 90, np.uint8)  # not enlarged
POINTS = [[100.5, 100.5], [500.5, 300.5]]


def draw(**options):
    return draw_point_masks(GREY, POINTS, [1, 0], num_classes=2, **options)


def instance_map():
    found = np.zeros(GREY.shape[:2], np.int32)
    found[60:140, 60:140] = 1
    return found


def test_points_without_a_map_are_discs_in_the_colours_of_their_classes():
    drawn = draw()
    first, second = distinct_colors(2)
    assert tuple(drawn[100, 100]) == second and tuple(drawn[300, 500]) == first
    assert np.array_equal(drawn[60, 60], GREY[60, 60])


def test_a_point_without_a_mask_is_a_cross():
    plain, drawn = draw(), draw(instance_map=instance_map())
    assert tuple(drawn[60, 60]) == distinct_colors(1)[0]  # the contour
    assert np.array_equal(drawn[100, 100], plain[100, 100])
    assert tuple(drawn[300, 500]) == distinct_colors(2)[0]
    assert not np.array_equal(drawn[280:320, 480:520], plain[280:320, 480:520])


def test_masks_alone():
    drawn = draw(instance_map=instance_map(), show_points=False)
    assert np.array_equal(drawn[280:320, 480:520], GREY[280:320, 480:520])
    assert not np.array_equal(drawn[100, 100], GREY[100, 100])


def test_background_clicks_are_rings():
    plain, drawn = draw(), draw(background_xy=[[300.5, 200.5]])
    changed = np.argwhere((plain != drawn).any(-1))
    assert len(changed) and not (drawn[200, 300] != plain[200, 300]).any()
    assert np.allclose(changed.mean(0), [200, 300], atol=1)


def test_small_images_are_enlarged_with_their_points():
    image = np.full((50, 100, 3), 90, np.uint8)
    drawn = draw_point_masks(
        image, [[10.5, 20.5]], [0], num_classes=1, background_xy=[[90.5, 40.5]]
    )
    assert drawn.shape == (300, 600, 3)
    assert tuple(drawn[6 * 20 + 3, 6 * 10 + 3]) == distinct_colors(1)[0]


@pytest.mark.parametrize('size', [(1, 1), (3, 700)])
def test_no_points_on_images_of_any_size(size):
    image = np.full((*size, 3), 90, np.uint8)
    drawn = draw_point_masks(image, [], [], num_classes=0, instance_map=np.zeros(size, np.int32))
    assert (drawn == 90).all()


def test_row_has_image_points_and_masks():
    row = point_mask_row(GREY, POINTS, [1, 0], instance_map(), num_classes=2, height=200)
    assert row.shape[1] == 3 * 330 + 2 * 8
    left, middle, right = (row[-200:, start : start + 330] for start in (0, 338, 676))
    assert (left == 90).all()
    assert (middle != 90).any() and not np.array_equal(middle, right)
