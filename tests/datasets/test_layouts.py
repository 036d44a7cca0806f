import json

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from mmp2seg.datasets.layouts import (
    AnnotationCollector,
    image_class_line,
    numeric_image_ids,
    write_lines,
    write_point_txt,
)


def test_point_file_has_pixel_indices(tmp_path):
    path = tmp_path / 'points.txt'
    write_point_txt(path, np.float32([[0.5, 2.5], [300.5, 7.75]]), np.array([3, 0]))
    assert path.read_text() == '0 2 3 1\n300 7.25 0 1\n'
    write_point_txt(path, np.zeros((0, 2)), [])
    assert path.read_text() == ''


def test_lists(tmp_path):
    write_lines(tmp_path / 'new' / 'list.txt', ['a', 'b'])
    assert (tmp_path / 'new' / 'list.txt').read_text() == 'a\nb\n'
    assert image_class_line('2007_000032', np.array([14, 0, 14])) == '2007_000032 0 14'
    assert image_class_line('empty', []) == 'empty'


@pytest.mark.parametrize(
    ('names', 'ids'),
    [
        (['000032', '7'], [32, 7]),
        (['2007_000032', '2008_000001'], [2007000032, 2008000001]),
        (['a', '7'], [1, 2]),
        (['07', '7'], [1, 2]),
        ([], []),
    ],
)
def test_numeric_image_ids(names, ids):
    assert numeric_image_ids(names) == ids


def test_annotations_of_two_images(tmp_path):
    collector = AnnotationCollector(('cat', 'dog'), description='two')
    instance_map = np.array([[1, 1, 0], [0, 2, 2]], np.int32)
    collector.add(
        image_id=4,
        file_name='4.jpg',
        instance_map=instance_map,
        labels=np.array([1, 0]),
        points_xy=np.float32([[0.5, 0.5], [2.5, 1.5]]),
    )
    collector.add(
        image_id=9,
        file_name='9.jpg',
        instance_map=np.zeros((5, 6), np.int32),
        labels=np.zeros(0, np.int64),
        points_xy=np.zeros((0, 2), np.float32),
    )
    collector.write_points(tmp_path / 'deep' / 'points.json')
    collector.write_instances(tmp_path / 'instances.json')
    points = json.loads((tmp_path / 'deep' / 'points.json').read_text())
    assert points == dict(
        info=dict(description='two'),
        images=[
            dict(id=4, file_name='4.jpg', height=2, width=3),
            dict(id=9, file_name='9.jpg', height=5, width=6),
        ],
        categories=[dict(id=1, name='cat'), dict(id=2, name='dog')],
        annotations=[
            dict(id=1, image_id=4, category_id=2, point=[0.5, 0.5]),
            dict(id=2, image_id=4, category_id=1, point=[2.5, 1.5]),
        ],
    )
    truth = json.loads((tmp_path / 'instances.json').read_text())
    second = truth['annotations'][1]
    assert isinstance(second['segmentation']['counts'], str)
    np.testing.assert_array_equal(coco_mask.decode(second['segmentation']), instance_map == 2)
    assert second['bbox'] == [1, 1, 2, 1]
    assert (second['area'], second['iscrowd'], second['point']) == (2, 0, [2.5, 1.5])
