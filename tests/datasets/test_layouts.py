import json

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from mmp2seg.datasets.layouts import (
    AnnotationCollector,
    image_class_line,
    numeric_image_ids,
    parse_point_line,
    write_lines,
    write_point_txt,
)


def test_point_file_has_pixel_indices(tmp_path):
    path = tmp_path / 'points.txt'
    write_point_txt(path, np.float32([[0.5, 2.5], [300.5, 7.75]]), np.array([3, 0]))
    assert path.read_text() == '0 2 3 1\n300 7.25 0 1\n'
    write_point_txt(path, np.zeros((0, 2)), [])
    assert path.read_text() == ''


@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_every_digit_of_a_point_comes_back(tmp_path, dtype):
    rng = np.random.default_rng(0)
    # around 0.5 a difference of floats is exact, below 0.25 it is not
    points_xy = rng.uniform(0, 0.5, (200, 2)).astype(dtype)
    points_xy[100:] = rng.uniform(0, 5000, (100, 2))
    points_xy[0] = 0, np.nextafter(dtype(640), dtype(0))
    write_point_txt(tmp_path / 'points.txt', points_xy, [0] * 200)
    lines = (tmp_path / 'points.txt').read_text().splitlines()
    read = [parse_point_line(line, num_classes=1, where='')[:2] for line in lines]
    np.testing.assert_array_equal(np.array(read).astype(dtype), points_xy)
    np.testing.assert_array_equal(np.array(read), points_xy.astype(np.float64))


def test_point_lines_are_read():
    read = [
        parse_point_line(line, num_classes=3, where='')
        for line in ('12 0 2 1', '-0.5 1e2 0.0', ' 0.25\t7.125  1 0.3 ')
    ]
    assert read == [(12.5, 0.5, 2), (0, 100.5, 0), (0.75, 7.625, 1)]
    assert [type(number) for number in read[0]] == [float, float, int]
    with pytest.raises(ValueError, match=r"a\.txt:3: expected a class 0\.\.2, got '3'"):
        parse_point_line('1 1 3 1', num_classes=3, where='a.txt:3')
    with pytest.raises(ValueError, match=r'a\.txt:3: expected a point of two finite numbers'):
        parse_point_line('1 inf 2 1', num_classes=3, where='a.txt:3')


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
