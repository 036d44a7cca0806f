import numpy as np
import pytest
from pycocotools import mask as mask_utils

from mmp2seg.converters.segmentation_crops import crop_of_segmentation
from mmp2seg.ops.rle import decode_rle, encode_rle, segmentation_to_rle


def pasted(segmentation, height, width):
    mask, (left, top) = crop_of_segmentation(segmentation, height, width)
    assert mask.dtype == bool and mask.flags.c_contiguous
    whole = np.zeros((height, width), bool)
    whole[top : top + mask.shape[0], left : left + mask.shape[1]] = mask
    assert whole.sum() == mask.sum()  # no pixel outside the image
    return whole


def rasterised(segmentation, height, width):
    return decode_rle(segmentation_to_rle(segmentation, height, width))


def box(x1, y1, x2, y2):
    return [x1, y1, x2, y1, x2, y2, x1, y2]


@pytest.mark.parametrize(
    'polygon',
    [
        box(7, 5, 20, 11),
        box(7.3, 5.1, 20.9, 11.5),
        box(133.1 - 120, 5.7, 30.3, 11.9),  # .1, .3, .5, .7 and .9 are half way on the grid
        box(0, 0, 40, 30),
        box(-5.5, -3.3, 9.2, 8),  # cut off by the image border
        box(25, 20, 70.4, 55.2),
        box(-9, -9, 90, 90),
        box(3.2, 3.2, 3.3, 3.3),
    ],
)
def test_crop_of_a_polygon_has_the_pixels_of_the_whole_image(polygon):
    np.testing.assert_array_equal(pasted([polygon], 30, 40), rasterised([polygon], 30, 40))


def test_crops_of_random_polygons_have_the_pixels_of_the_whole_image():
    rng = np.random.default_rng(0)
    differing = 0
    for case in range(600):
        corners = rng.uniform(-12, 52, (rng.integers(1, 3), 2 * rng.integers(3, 7)))
        polygons = corners.round(case % 4).tolist()
        wrong = pasted(polygons, 36, 40) != rasterised(polygons, 36, 40)
        assert wrong.sum() <= 1
        differing += wrong.any()
    assert differing <= 5  # edges exactly half way between two steps


def test_crop_is_about_as_large_as_the_object():
    mask, (left, top) = crop_of_segmentation([box(307, 205, 320, 211)], 480, 640)
    assert (left, top) == (307, 205)
    assert mask.shape == (8, 15)
    assert mask.sum() == 13 * 6


def test_short_polygons_are_left_out_beside_a_whole_one():
    polygons = [[1, 2, 3, 4], box(7, 5, 20, 11), []]
    np.testing.assert_array_equal(pasted(polygons, 30, 40), rasterised(polygons, 30, 40))


def test_crop_of_an_rle():
    mask = np.zeros((9, 12), bool)
    mask[2:5, 3:9] = mask[6, 7] = True
    compressed = encode_rle(mask)
    borders = np.flatnonzero(np.diff(mask.T.ravel())) + 1
    counts = np.diff([0, *borders, mask.size]).tolist()
    as_bytes = dict(compressed, counts=compressed['counts'].encode())
    for rle in (compressed, as_bytes, dict(size=[9, 12], counts=counts)):
        crop, origin = crop_of_segmentation(rle, 9, 12)
        assert origin == (3, 2)
        np.testing.assert_array_equal(crop, mask[2:7, 3:9])


@pytest.mark.parametrize(
    'segmentation',
    [
        [box(50, 5, 60, 11)],
        [box(-20, 5, -3, 11)],
        [box(5, 40, 20, 45)],
        encode_rle(np.zeros((30, 40), bool)),
        dict(size=[30, 40], counts=[1200]),
    ],
)
def test_no_pixels(segmentation):
    mask, _ = crop_of_segmentation(segmentation, 30, 40)
    assert not mask.any()


def rle(counts):
    return dict(size=[30, 40], counts=counts)


@pytest.mark.parametrize(
    ('segmentation', 'message'),
    [
        ([], 'three corners, got none'),
        ([[1, 2, 3, 4]], 'three corners, got none'),
        ([[1, 2, 3, 4, 5, 6, 7]], r'x1, y1, x2, y2, \.\.\., got \[1, 2, 3'),
        ([1, 2, 3, 4, 5, 6], 'polygons of finite numbers, got 1'),
        ([['a', 2, 3, 4, 5, 6]], "got \\['a'"),
        ([[1, 2, 3, float('nan'), 5, 6]], 'finite numbers'),
        ([[1, 2, 3, 1e9, 5, 6]], 'finite numbers'),
        ([[1, 2, 3, 10**400, 5, 6]], 'finite numbers'),
        ('polygon', "expected polygons or an RLE, got 'polygon'"),
        (dict(counts='abc'), 'expected polygons or an RLE'),
        (dict(size=[40, 30], counts='abc'), r'of the image size \[30, 40\], got \[40, 30\]'),
        (dict(size=7, counts='abc'), r'of the image size \[30, 40\], got 7'),
        (rle([600]), r'runs that make up the 1200 pixels, got \[600\]'),
        (rle([1300, -100]), 'runs that make up'),
        (rle([600, 600.0]), 'runs that make up'),
        (rle(None), 'runs that make up .*, got None'),
        (rle('1' * 100), 'runs that make up'),
        (rle(encode_rle(np.ones((30, 39), bool))['counts']), 'runs that make up'),
        (rle('\u4e00'), 'runs that make up'),
    ],
)
def test_no_segmentation(segmentation, message):
    with pytest.raises(ValueError, match=message):
        crop_of_segmentation(segmentation, 30, 40)


def test_rounding_is_pycocotools_own():
    # The grid that the crops rely on: fifths of a pixel, also for negative coordinates.
    for x in (0.29, 0.3, 0.31, -0.29, -0.3, -0.31):
        polygon = [*box(x, 0.0, 9, 4)]
        snapped = [np.trunc(5 * v + 0.5) / 5 for v in polygon]
        snapped = [v - 0.15 if v < 0 else v for v in snapped]
        both = [mask_utils.frPyObjects([p], 5, 12)[0]['counts'] for p in (polygon, snapped)]
        assert both[0] == both[1]
