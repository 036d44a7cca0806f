import numpy as np
import pytest

from mmp2seg.napari_plugin.pixels import displayed_bgr

GREY = np.array([[0, 100, 200]])


@pytest.mark.parametrize(
    ('values', 'limits', 'expected'),
    [
        (GREY.astype(np.uint8), (0, 255), [0, 100, 200]),
        (GREY.astype(np.uint8), (0, 200), [0, 128, 255]),
        (GREY.astype(np.uint16), (100, 200), [0, 0, 255]),
        (GREY.astype(np.uint16), None, [0, 128, 255]),
        (GREY - 100.0, (-100, 100), [0, 128, 255]),
        (GREY > 50, (0, 1), [0, 255, 255]),
        (np.array([[np.nan, 1, np.inf]]), (0, 2), [0, 128, 255]),
        (np.array([[5, 5, 5]]), None, [0, 0, 0]),
    ],
)
def test_grey_is_stretched_between_the_contrast_limits(values, limits, expected):
    bgr = displayed_bgr(values, rgb=False, contrast_limits=limits)
    assert bgr.dtype == np.uint8 and bgr.shape == (1, 3, 3)
    assert bgr[0].tolist() == [[value] * 3 for value in expected]


@pytest.mark.parametrize(
    'values',
    [
        np.array([[[255, 51, 0]]], np.uint8),
        np.array([[[255, 51, 0, 7]]], np.uint8),
        np.array([[[65535, 51 * 257, 0]]], np.uint16),
        np.array([[[1.0, 0.2, 0.0]]]),
        np.array([[[3.0, 0.2, np.nan]]]),
    ],
)
def test_colours_become_bgr_of_8_bits(values):
    bgr = displayed_bgr(values, rgb=True)
    assert bgr.dtype == np.uint8 and bgr.flags.c_contiguous
    assert bgr.tolist() == [[[0, 51, 255]]]


@pytest.mark.parametrize(
    ('values', 'rgb', 'message'),
    [
        (np.zeros((2, 3, 3)), False, r'of shape \(H, W\), got \(2, 3, 3\)'),
        (np.zeros((2, 3)), True, r'of shape \(H, W, 3 or 4\) .*, got \(2, 3\)'),
        (np.zeros((2, 3, 2)), True, r'got \(2, 3, 2\)'),
        (np.zeros((2, 3), complex), False, 'real numbers, got complex128'),
    ],
)
def test_other_arrays_are_errors(values, rgb, message):
    with pytest.raises(ValueError, match=message):
        displayed_bgr(values, rgb=rgb)
