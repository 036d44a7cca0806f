import numpy as np
import pytest
from pycocotools import mask as mask_utils

from mmp2seg.ops.rle import decode_rle, encode_rle, segmentation_to_rle

MASK = np.array([[0, 1, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1]], dtype=bool)


def test_round_trip_and_plain_types():
    rle = encode_rle(MASK)
    assert rle['size'] == [3, 4]
    assert type(rle['counts']) is str
    assert {type(side) for side in rle['size']} == {int}
    assert np.array_equal(decode_rle(rle), MASK)


@pytest.mark.parametrize('mask', [np.zeros((3, 4), bool), np.ones((3, 4), bool), MASK.T])
def test_round_trip_of_any_memory_order(mask):
    assert np.array_equal(decode_rle(encode_rle(mask)), mask)


def test_segmentation_to_rle_of_each_kind():
    # columns first: 3 zeros, 2 ones (column 1), zero, one (column 2), 4 zeros, one
    uncompressed = {'size': [3, 4], 'counts': [3, 2, 1, 1, 4, 1]}
    polygon = [[1, 0, 3, 0, 3, 2, 1, 2]]
    for segmentation in (encode_rle(MASK), uncompressed):
        assert np.array_equal(decode_rle(segmentation_to_rle(segmentation, 3, 4)), MASK)
    expected = np.zeros((3, 4), bool)
    expected[:2, 1:3] = True
    assert np.array_equal(decode_rle(segmentation_to_rle(polygon, 3, 4)), expected)


def test_parts_of_an_object_are_joined():
    parts = [[0, 0, 1, 0, 1, 1, 0, 1], [2, 2, 4, 2, 4, 3, 2, 3]]
    assert mask_utils.area(segmentation_to_rle(parts, 3, 4)) == 3


def test_errors():
    with pytest.raises(ValueError, match='at least three corners'):
        segmentation_to_rle([[1, 2, 3, 4]], 3, 4)
    with pytest.raises(ValueError, match=r'image size \[4, 3\], got \[3, 4\]'):
        segmentation_to_rle(encode_rle(MASK), 4, 3)
