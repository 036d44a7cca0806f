import numpy as np
import pytest

from mmp2seg.evaluation.functional.truth_maps import decode_masks, is_crowd, truth_instance_map
from mmp2seg.ops.rle import encode_rle


def annotation(rows, cols, category_id, **fields):
    mask = np.zeros((3, 4), dtype=bool)
    mask[rows, cols] = True
    return {'segmentation': encode_rle(mask), 'category_id': category_id, **fields}


def test_is_crowd():
    assert is_crowd({'iscrowd': 1})
    assert not is_crowd({'iscrowd': 0})
    assert not is_crowd({})


def test_decode_masks():
    masks = decode_masks([annotation(0, slice(2), 1), annotation(2, 3, 1)], 3, 4)
    assert masks.dtype == bool
    assert [np.argwhere(mask).tolist() for mask in masks] == [[[0, 0], [0, 1]], [[2, 3]]]
    assert decode_masks([], 3, 4).shape == (0, 3, 4)


@pytest.mark.parametrize(
    ('segmentation', 'message'),
    [
        ([[1, 2, 3]], 'expected a polygon with at least three corners'),
        ({'size': [4, 3], 'counts': [12]}, r'expected a mask of the image size \[3, 4\], got \[4'),
        (None, 'expected polygons or an RLE, got None'),
    ],
)
def test_broken_masks_are_named(segmentation, message):
    annotations = [annotation(0, 1, 1, id=6), dict(id=7, image_id=5, category_id=1)]
    if segmentation is not None:
        annotations[1]['segmentation'] = segmentation
    with pytest.raises(ValueError, match=rf'^truth\.json: image 5: annotation 7: {message}'):
        decode_masks(annotations, 3, 4, where='truth.json: image 5')
    with pytest.raises(ValueError, match=rf'^image 5: annotation 7: {message}'):
        decode_masks(annotations, 3, 4)
    for labels in ({1: 0}, {}):
        with pytest.raises(ValueError, match=r'^here: annotation 7: expected'):
            truth_instance_map(annotations, labels, height=3, width=4, where='here')


def test_instance_map_by_hand():
    annotations = [
        annotation(slice(3), slice(3), 40, iscrowd=1),
        annotation(0, slice(2), 40),
        annotation(2, slice(2, 4), 99),  # a category without label
        annotation(slice(2), 1, 30),
    ]
    instance_map, classes = truth_instance_map(annotations, {30: 0, 40: 1}, height=3, width=4)
    assert instance_map.tolist() == [[1, 2, -1, 0], [-1, 2, -1, 0], [-1, -1, -1, -1]]
    assert classes.tolist() == [1, 0]
    assert (instance_map.dtype, classes.dtype) == (np.int32, np.int64)


def test_image_without_objects():
    instance_map, classes = truth_instance_map([], {}, height=3, width=4)
    assert not instance_map.any() and instance_map.shape == (3, 4)
    assert classes.shape == (0,)
