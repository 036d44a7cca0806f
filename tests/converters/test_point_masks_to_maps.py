import json

import numpy as np
import pytest

from mmp2seg.converters.point_masks_to_maps import point_masks_to_maps
from mmp2seg.files.index_png import read_index_png
from mmp2seg.ops.rle import encode_rle


def box_mask(left, right):
    mask = np.zeros((4, 10), bool)
    mask[:, left:right] = True
    return encode_rle(mask)


@pytest.fixture
def points_path(tmp_path):
    content = dict(
        images=[
            dict(id=1, file_name='a.jpg', height=4, width=10),
            dict(id=2, file_name='sub/b.jpg', height=4, width=10),
        ],
        categories=[dict(id=1, name='cat'), dict(id=2, name='dog')],
        annotations=[
            dict(id=1, image_id=1, category_id=1, point=[1.5, 2.5]),
            dict(id=2, image_id=1, category_id=2, point=[6.5, 2.5]),
            dict(id=3, image_id=1, category_id=2, point=[9.5, 2.5]),
        ],
    )
    (tmp_path / 'points.json').write_text(json.dumps(content))
    return tmp_path / 'points.json'


@pytest.fixture
def masks_path(tmp_path):
    masks = [
        dict(image_id=1, segmentation=box_mask(0, 5), predicted_iou=0.9),
        dict(image_id=1, segmentation=box_mask(3, 8), predicted_iou=0.8),
        dict(image_id=5, segmentation=box_mask(0, 9), predicted_iou=1.0),
    ]
    (tmp_path / 'masks.json').write_text(json.dumps(masks))
    return tmp_path / 'masks.json'


@pytest.mark.parametrize('uncertain', [None, 255])
def test_maps_and_report(points_path, masks_path, tmp_path, uncertain):
    out_dir = tmp_path / 'out'
    report = point_masks_to_maps(masks_path, points_path, out_dir, uncertain=uncertain)
    middle = [1, 1] if uncertain is None else [255, 255]
    expected = [[1, 1, 1, *middle, 2, 2, 2, 0, 0]] * 4
    assert read_index_png(out_dir / 'a.png').tolist() == expected
    assert not read_index_png(out_dir / 'sub' / 'b.png').any()  # an image without points
    assert (report.num_maps, report.num_points, report.num_masks, report.num_other) == (2, 3, 2, 1)
    assert report.without_mask == (f'{points_path}: annotation 3: dog of a.jpg',)
    assert report.conflict_share == 8 / 80


def test_nothing_is_written_unless_all_is(points_path, masks_path, tmp_path):
    masks = json.loads(masks_path.read_text())
    masks[1]['segmentation']['size'] = [10, 4]
    masks_path.write_text(json.dumps(masks))
    with pytest.raises(ValueError, match=r'masks.json: \[1\]: .* image size'):
        point_masks_to_maps(masks_path, points_path, tmp_path / 'out')
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ['masks.json', 'points.json']


def test_no_point_with_a_mask_is_an_error(points_path, masks_path, tmp_path):
    masks_path.write_text(json.dumps([dict(image_id=1, segmentation=box_mask(3, 5))]))
    with pytest.raises(ValueError, match=r'masks\.json: expected the mask of a point, got none'):
        point_masks_to_maps(masks_path, points_path, tmp_path / 'out')
    assert not (tmp_path / 'out').exists()
    report = point_masks_to_maps(masks_path, points_path, tmp_path / 'out', allow_empty=True)
    assert len(report.without_mask) == 3
