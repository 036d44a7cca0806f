import numpy as np
import pytest

from mmp2seg.datasets.point_supervision import (
    all_objects_have_masks,
    draw_true_classes,
    read_given_mask,
    supervision_kind,
)
from mmp2seg.ops.rle import decode_rle, encode_rle

IMAGE = dict(id=1, height=4, width=6)
SQUARE = [[1, 1, 3, 1, 3, 3, 1, 3]]


def rle_of(*rows):
    return encode_rle(np.array([[c == '#' for c in row] for row in rows]))


def read(**entry):
    return read_given_mask({'point': [1.5, 1.5], **entry}, image=IMAGE, where='a.json: x')


def test_a_mask_without_the_flag_is_never_looked_at():
    """Ordinary COCO truth must not become supervision by itself."""
    broken = dict(segmentation='broken', bbox='broken')
    assert read(**broken) == read(**broken, supervision='point') == ('point', None)


@pytest.mark.parametrize('segmentation', [SQUARE, rle_of('......', '.##...', '.##...', '......')])
def test_a_mask_from_polygons_or_rle(segmentation):
    kind, rle = read(segmentation=segmentation, supervision='mask', bbox='not read')
    assert kind == 'mask' and isinstance(rle['counts'], str)
    assert decode_rle(rle)[1:3, 1:3].all() and decode_rle(rle).sum() == 4


def test_a_box_is_every_pixel_that_it_touches():
    _, rle = read(bbox=[0.9, 1.2, 1.2, 9.0], supervision='box')
    expected = np.zeros((4, 6), bool)
    expected[1:, :3] = True
    assert np.array_equal(decode_rle(rle), expected)


@pytest.mark.parametrize(
    ('entry', 'message'),
    [
        (dict(supervision='masks'), "supervision to be one of 'point', 'box', 'mask', got 'masks'"),
        (dict(supervision='mask'), "supervision 'mask': expected polygons or an RLE, got None"),
        (dict(supervision='mask', segmentation=[]), 'expected a polygon'),
        (dict(supervision='mask', segmentation=rle_of('......')), r'image size \[4, 6\]'),
        (dict(supervision='mask', segmentation=rle_of(*['......'] * 4)), 'a mask with pixels'),
        (dict(supervision='box'), r'expected bbox \[x, y, width, height\], got None'),
        (dict(supervision='box', bbox=[0, 0, float('nan'), 2]), 'expected bbox'),
        (dict(supervision='box', bbox=[0, 0, 9, 0]), 'around the point'),
        (dict(supervision='box', bbox=[2, 0, 2, 4]), r'a bbox around the point \(1.5, 1.5\)'),
    ],
)
def test_what_the_flag_does_not_fit(entry, message):
    with pytest.raises(ValueError, match=rf'a\.json: x: .*{message}'):
        read(**entry)


@pytest.mark.parametrize('size', [{}, dict(height=4), dict(height='4', width=6)])
def test_the_size_of_the_image_is_needed_for_masks_alone(size):
    entry = dict(point=[1, 1], segmentation=SQUARE)
    assert read_given_mask(entry, image=size, where='x') == ('point', None)
    with pytest.raises(ValueError, match='x: expected height and width of its image'):
        read_given_mask({**entry, 'supervision': 'mask'}, image=size, where='x')


def test_the_flag_of_an_image():
    assert not all_objects_have_masks({}, ['mask'], where='x')
    assert all_objects_have_masks(dict(supervision='mask'), ['mask', 'mask'], where='x')
    with pytest.raises(ValueError, match='x: .* have masks, got 1 without'):
        all_objects_have_masks(dict(supervision='mask'), ['mask', 'box'], where='x')
    with pytest.raises(ValueError, match="x: .* to be 'mask' or left out, got 'box'"):
        all_objects_have_masks(dict(supervision='box'), [], where='x')


def test_true_classes_are_drawn_the_smaller_mask_last():
    weak = np.array([[2, 2, 0, 255], [0, 0, 2, 255]], np.uint8)
    large = dict(bbox_label=0, supervision='mask', mask=rle_of('##..', '##..'))
    small = dict(bbox_label=2, supervision='mask', mask=rle_of('....', '#...'))
    box = dict(bbox_label=3, supervision='box', mask=rle_of('####', '####'))
    for instances in ([large, box, small, dict(bbox_label=0)], [small, large]):
        drawn = draw_true_classes(weak, instances, complete=False)
        assert drawn.tolist() == [[1, 1, 0, 255], [3, 1, 2, 255]]
    # all objects have masks: the rest is background, but what is void stays void
    drawn = draw_true_classes(weak, [large, small], complete=True)
    assert drawn.tolist() == [[1, 1, 0, 255], [3, 1, 0, 255]]
    assert weak[0, 0] == 2  # not changed
    with pytest.raises(ValueError, match='true masks of 3 x 2 pixels like the image, got 4 x 2'):
        draw_true_classes(weak[:, :3], [large], complete=False)


def test_kinds():
    assert supervision_kind({}, where='x') == 'point'
    with pytest.raises(ValueError, match='x: expected supervision'):
        supervision_kind(dict(supervision=['mask']), where='x')
