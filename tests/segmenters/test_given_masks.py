import numpy as np
import pytest

from mmp2seg.ops.rle import encode_rle
from mmp2seg.segmenters import PointSegmentation
from mmp2seg.segmenters.given_masks import GivenOfPoints, with_given_masks

INSTANCES = np.array([[1, 1, 2, 2], [1, 1, 2, 0]], np.int32)
LABELS = np.array([0, 1])


def segmentation(**changes):
    found = dict(
        instance_map=INSTANCES,
        semantic_map=np.array([[1, 1, 2, 2], [1, 255, 2, 0]], np.uint8),
        semantic_argmax=np.array([[1, 1, 2, 2], [1, 1, 2, 0]], np.uint8),
        scores=np.array([0.5, 0.25], np.float32),
        reasons=('', ''),
    )
    return PointSegmentation(**{**found, **changes})


def rle_of(*rows):
    return encode_rle(np.array([[c == '#' for c in row] for row in rows]))


def test_a_mask_is_drawn_and_its_point_has_no_other_pixels():
    given = GivenOfPoints(('mask', 'point'), (rle_of('#.#.', '#...'), None))
    found = with_given_masks(segmentation(), given, labels=LABELS)
    assert found.instance_map.tolist() == [[1, 0, 1, 2], [1, 0, 2, 0]]
    assert found.semantic_map.tolist() == [[1, 255, 1, 2], [1, 255, 2, 0]]
    assert found.semantic_argmax.tolist() == [[1, 0, 1, 2], [1, 0, 2, 0]]
    assert found.scores.tolist() == [1, 0.25] and found.reasons == ('', '')
    assert INSTANCES[0, 1] == 1  # not changed


def test_a_box_cuts_off():
    given = GivenOfPoints(('box', 'point'), (rle_of('#...', '#...'), None))
    found = with_given_masks(segmentation(), given, labels=LABELS)
    assert found.instance_map.tolist() == [[1, 0, 2, 2], [1, 0, 2, 0]]
    assert found.semantic_map.tolist() == [[1, 255, 2, 2], [1, 255, 2, 0]]
    assert found.scores.tolist() == [0.5, 0.25]


def test_points_without_pixels_have_a_reason_and_those_with_masks_none():
    whole = GivenOfPoints(('mask', 'point'), (rle_of('####', '####'), None))
    found = with_given_masks(segmentation(), whole, labels=LABELS)
    assert found.reasons == ('', 'no_pixels')
    # a mask that a smaller one covers, and a point that another one is at the place of
    same = rle_of('#...', '....')
    both = GivenOfPoints(('mask', 'mask'), (same, same))
    found = with_given_masks(segmentation(reasons=('', 'duplicate')), both, labels=LABELS)
    assert found.reasons == ('', '') and found.scores.tolist() == [1, 1]


def test_an_image_whose_objects_all_have_masks_is_background_elsewhere():
    given = GivenOfPoints(
        ('mask', 'mask'), (rle_of('#...', '....'), rle_of('..##', '....')), complete=True
    )
    found = with_given_masks(segmentation(semantic_argmax=None), given, labels=LABELS)
    for semantic_map in (found.semantic_map, found.semantic_argmax):
        assert semantic_map.tolist() == [[1, 0, 2, 2], [0, 0, 0, 0]]


def test_a_mask_of_another_size():
    given = GivenOfPoints(('mask', 'point'), (rle_of('#.'), None))
    with pytest.raises(ValueError, match='mask of 4 x 2 pixels like the image, got 2 x 1'):
        with_given_masks(segmentation(), given, labels=LABELS)
