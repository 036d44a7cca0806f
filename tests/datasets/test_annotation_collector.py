import json

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from mmp2seg.datasets.annotation_collector import AnnotationCollector


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


def test_without_points_the_truth_has_none_either(tmp_path):
    collector = AnnotationCollector(('cat', 'dog'), description='no points')
    instance_map = np.array([[1, 2]], np.int32)
    collector.add(image_id=1, file_name='a.jpg', instance_map=instance_map, labels=np.array([1, 0]))
    collector.write_instances(tmp_path / 'instances.json')
    annotations = json.loads((tmp_path / 'instances.json').read_text())['annotations']
    assert [a['id'] for a in annotations] == [1, 2]
    assert [a['category_id'] for a in annotations] == [2, 1]
    assert all('point' not in a for a in annotations)


def test_a_json_that_cannot_be_written_leaves_the_old_one(tmp_path):
    path = tmp_path / 'points.json'
    path.write_text('old')
    collector = AnnotationCollector(('cat',), description='broken')
    collector.add(
        image_id=1,
        file_name='a.jpg',
        instance_map=np.ones((1, 1), np.int32),
        labels=[0],
        points_xy=[[np.nan, 0]],
    )
    with pytest.raises(ValueError, match=r'points\.json: not written'):
        collector.write_points(path)
    assert path.read_text() == 'old'
    assert [file.name for file in tmp_path.iterdir()] == ['points.json']
