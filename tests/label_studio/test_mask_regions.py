import numpy as np
import pytest

from mmp2seg.label_studio.label_config import read_label_config
from mmp2seg.label_studio.mask_regions import mask_regions
from mmp2seg.label_studio.task_points import Click

from .task_examples import TAGS, tag

CLICK = Click(3.5, 1.5, 'bar', 'p1')
MASK = np.zeros((5, 8), bool)
MASK[1:4, 2:4] = MASK[1, 6] = True


def regions(tags):
    return mask_regions(
        MASK, CLICK, 0.75, read_label_config(tags), encode=lambda mask: mask.ravel().tolist()
    )


def test_one_brush_region():
    (region,) = regions(TAGS)
    identity = region.pop('id')
    assert region == dict(
        type='brushlabels',
        from_name='mask',
        to_name='image',
        original_width=8,
        original_height=5,
        image_rotation=0,
        origin='prediction',
        score=0.75,
        meta=dict(point_id='p1'),
        value=dict(format='rle', rle=MASK.ravel().tolist(), brushlabels=['bar']),
    )
    assert regions(TAGS)[0]['id'] != identity


def test_a_polygon_for_each_part():
    parts = regions(dict(TAGS, mask=tag('PolygonLabels', 'bar', 'block')))
    assert {part['type'] for part in parts} == {'polygonlabels'} and len(parts) == 2
    assert len({part['id'] for part in parts}) == 2
    corners = [
        {tuple(np.round(np.multiply(point, (0.08, 0.05)), 9)) for point in part['value']['points']}
        for part in parts
    ]
    assert {(2, 1), (4, 1), (4, 4), (2, 4)} in corners and {
        (6, 1),
        (7, 1),
        (7, 2),
        (6, 2),
    } in corners
    assert all(part['value']['closed'] is True for part in parts)
    assert all(part['value']['polygonlabels'] == ['bar'] for part in parts)


@pytest.mark.parametrize('size', [(7, 13), (1, 1), (5, 400)])
def test_the_sdk_decodes_the_same_mask(size):
    brush = pytest.importorskip('label_studio_sdk.converter.brush')
    from mmp2seg.label_studio.sdk import encode_brush

    mask = np.random.default_rng(0).random(size) < 0.3
    mask[0, 0] = True
    (region,) = mask_regions(mask, CLICK, 1.0, read_label_config(TAGS), encode=encode_brush)
    rle = region['value']['rle']
    assert all(type(byte) is int for byte in rle)
    assert (brush.decode_rle(rle).reshape(*size, 4) == 255 * mask[..., None]).all()
