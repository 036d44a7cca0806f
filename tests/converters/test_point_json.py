import json
import math

import pytest

from mmp2seg.converters.point_json import (
    SourceImage,
    SourcePoint,
    assemble_point_json,
    read_point_json,
)


def image(name, *points, height=40, width=60):
    points = [SourcePoint(x, y, label, f'src:{i}') for i, (x, y, label) in enumerate(points)]
    return SourceImage(name, height, width, points, f'src of {name}')


IMAGES = [
    image('a/1.jpg', (0.0, 0.0, 'cat'), (59.9, 39.9, 'dog'), (0.0, 0.0, 'dog')),
    image('a/2.jpg'),
]


def test_assemble():
    content, report = assemble_point_json(IMAGES, description='d')
    assert content['info'] == {'description': 'd'}
    assert content['images'] == [
        {'id': 1, 'file_name': 'a/1.jpg', 'height': 40, 'width': 60},
        {'id': 2, 'file_name': 'a/2.jpg', 'height': 40, 'width': 60},
    ]
    assert content['categories'] == [{'id': 1, 'name': 'cat'}, {'id': 2, 'name': 'dog'}]
    assert content['annotations'] == [
        {'id': 1, 'image_id': 1, 'category_id': 1, 'point': [0.0, 0.0]},
        {'id': 2, 'image_id': 1, 'category_id': 2, 'point': [59.9, 39.9]},
        {'id': 3, 'image_id': 1, 'category_id': 2, 'point': [0.0, 0.0]},
    ]
    assert (report.num_images, report.num_empty) == (2, 1)
    assert report.num_points == {'cat': 1, 'dog': 2}
    assert str(report) == '2 images (1 without points), 3 points\n  cat: 1\n  dog: 2'


def test_classes_in_the_order_given():
    content, report = assemble_point_json(IMAGES, classes=['dog', 'cow', 'cat'])
    assert [category['name'] for category in content['categories']] == ['dog', 'cow', 'cat']
    assert [a['category_id'] for a in content['annotations']] == [3, 1, 1]
    assert report.num_points == {'dog': 2, 'cow': 0, 'cat': 1}


def test_round_trip(tmp_path):
    content, _ = assemble_point_json(IMAGES, classes=['dog', 'cow', 'cat'])
    path = tmp_path / 'points.json'
    path.write_text(json.dumps(content))
    images, classes = read_point_json(path)
    again, _ = assemble_point_json(images, classes=classes)
    assert {**again, 'info': None} == {**content, 'info': None}


@pytest.mark.parametrize(
    ('point', 'reason'),
    [
        ((60.0, 5.0, 'cat'), r'src:1: point \(60, 5\) is outside of b.jpg, 60 x 40 pixels'),
        ((5.0, 40.0, 'cat'), r'src:1: point \(5, 40\) is outside'),
        ((-0.1, 5.0, 'cat'), r'src:1: point \(-0.1, 5\) is outside'),
        ((math.nan, 5.0, 'cat'), r'src:1: expected finite coordinates, got \(nan, 5'),
        ((5.0, 5.0, 'cow'), r"src:1: class 'cow' is not one of \['cat'\]"),
        ((1.0, 2.0, 'cat'), r"src:1: a second 'cat' at \(1, 2\) in b.jpg"),
    ],
)
def test_refused(point, reason):
    images = [image('b.jpg', (1.0, 2.0, 'cat'), point)]
    title = r'1 points cannot be used \(--skip-refused leaves them out\)'
    with pytest.raises(ValueError, match=f'{title}:\n  {reason}'):
        assemble_point_json(images, classes=['cat'])
    content, report = assemble_point_json(images, classes=['cat'], skip_refused=True)
    assert len(content['annotations']) == 1
    assert len(report.refused) == 1
    assert report.refused[0] in str(report)


def test_many_refused_are_shortened():
    images = [image('b.jpg', *((-1.0, float(y), 'cat') for y in range(13)))]
    with pytest.raises(ValueError, match=r'13 points cannot[^$]*\.\.\. and 3 more') as error:
        assemble_point_json(images)
    assert len(str(error.value).splitlines()) == 12


def test_bad_images():
    with pytest.raises(ValueError, match='src of 1.jpg: image 1.jpg duplicates src of'):
        assemble_point_json([image('1.jpg'), image('1.jpg')])
    with pytest.raises(ValueError, match='src of 1.jpg: expected a size .* got height 0, width 60'):
        assemble_point_json([image('1.jpg', height=0)])
    with pytest.raises(ValueError, match='expected unique class names'):
        assemble_point_json(IMAGES, classes=['cat', 'cat'])


def test_nothing():
    content, report = assemble_point_json([])
    assert content['images'] == content['annotations'] == content['categories'] == []
    assert str(report) == '0 images (0 without points), 0 points'


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'point': None}, 'annotation 2: expected a point of two finite numbers x y, got None'),
        ({'point': [1]}, 'annotation 2: expected a point of two finite numbers'),
        ({'image_id': 9}, r'annotation 2: unknown image_id 9'),
        ({'category_id': 9}, r'annotation 2: unknown category_id 9'),
        ({'image_id': []}, r'annotation 2: unknown image_id \[\]'),
        ({'category_id': None}, 'annotation 2: unknown category_id None'),
    ],
)
def test_malformed_json(tmp_path, changes, message):
    content, _ = assemble_point_json(IMAGES)
    content['annotations'][1].update(changes)
    path = tmp_path / 'points.json'
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=f'points.json: {message}'):
        read_point_json(path)


@pytest.mark.parametrize(
    ('part', 'key', 'message'),
    [
        ('images', 'id', r'images\[1\]: id 1 duplicates images\[0\]'),
        ('images', 'file_name', r"images\[1\]: file_name 'a/1.jpg' duplicates images\[0\]"),
        ('categories', 'id', r'categories\[1\]: id 1 duplicates categories\[0\]'),
        ('categories', 'name', r"categories\[1\]: name 'cat' duplicates categories\[0\]"),
    ],
)
def test_ids_and_names_twice(tmp_path, part, key, message):
    content, _ = assemble_point_json(IMAGES)
    path = tmp_path / 'points.json'
    content[part][1][key] = content[part][0][key]
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=f'points.json: {message}'):
        read_point_json(path)
    content[part][1][key] = []
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=rf'{part}\[1\]: expected {key} to be .*, got \[\]'):
        read_point_json(path)


def test_annotations_without_point(tmp_path):
    content, _ = assemble_point_json(IMAGES)
    del content['annotations'][1]['point']
    path = tmp_path / 'points.json'
    path.write_text(json.dumps(content))
    with pytest.raises(
        ValueError, match=r'points.json: annotation 2: expected a point .* got None'
    ):
        read_point_json(path)


def test_crowds_are_left_out(tmp_path):
    content, _ = assemble_point_json(IMAGES)
    content['annotations'][1]['iscrowd'] = 1
    path = tmp_path / 'points.json'
    path.write_text(json.dumps(content))
    images, _ = read_point_json(path)
    assert [point.label for point in images[0].points] == ['cat', 'dog']
    assert images[0].points[1].where.endswith('annotation 3')


def test_what_the_reader_left_out_is_reported():
    source = SourceImage('1.jpg', 4, 6, [], 'src', left_out=['src: shapes[2]: a polygon'])
    _, report = assemble_point_json([source, image('2.jpg')])
    assert report.refused == ('src: shapes[2]: a polygon',)
    assert '1 points left out:\n  src: shapes[2]: a polygon' in str(report)
