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
        ((60.1, 5.0, 'cat'), r'src:1: point \(60.1, 5\) is outside of b.jpg, 60 x 40 pixels'),
        ((5.0, 40.1, 'cat'), r'src:1: point \(5, 40.1\) is outside'),
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
    content, report = assemble_point_json([], allow_empty=True)
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
    _, report = assemble_point_json([source, image('2.jpg', (1, 2, 'cat'))])
    assert report.refused == ('src: shapes[2]: a polygon',)
    assert '1 points left out:\n  src: shapes[2]: a polygon' in str(report)


def test_background_clicks():
    """They are no annotations and no category, and equal ones are one."""
    images = [
        image('1.jpg', (5, 5, 'background'), (1, 2, 'cat'), (0.5, 0, 'background')),
        image('2.jpg', (7, 7, 'background'), (5, 5, 'background'), (7, 7.0, 'background')),
        image('3.jpg', (1, 2, 'cat')),
    ]
    content, report = assemble_point_json(images)
    entries = content['images']
    assert entries[0]['background_points'] == [[5.0, 5.0], [0.5, 0.0]]
    assert entries[1]['background_points'] == [[7.0, 7.0], [5.0, 5.0]]
    assert 'background_points' not in entries[2]
    assert content['categories'] == [{'id': 1, 'name': 'cat'}]
    assert [(a['id'], a['image_id'], a['point']) for a in content['annotations']] == [
        (1, 1, [1.0, 2.0]),
        (2, 3, [1.0, 2.0]),
    ]
    assert (report.num_background, report.num_empty, report.num_points) == (4, 1, {'cat': 2})
    assert str(report).splitlines() == [
        '3 images (1 without points), 2 points',
        '  cat: 2',
        '4 background clicks',
    ]
    assert assemble_point_json(images, classes=['cat', 'dog'])[0]['images'] == entries


def test_background_is_a_class_if_the_classes_contain_it():
    images = [image('1.jpg', (5, 5, 'background'), (5, 5, 'cat'))]
    content, report = assemble_point_json(images, classes=['cat', 'background'])
    assert [a['category_id'] for a in content['annotations']] == [2, 1]
    assert 'background_points' not in content['images'][0]
    assert report.num_points == {'cat': 1, 'background': 1}
    assert 'clicks' not in str(report)
    with pytest.raises(ValueError, match="src:0: class 'Background' is not one of .'cat'.$"):
        assemble_point_json([image('1.jpg', (5, 5, 'Background'))], classes=['cat'])


@pytest.mark.parametrize(
    ('click', 'reason'),
    [
        ((60.1, 5.0), r'src:2: point \(60.1, 5\) is outside of b.jpg, 60 x 40 pixels'),
        ((5.0, -0.1), r'src:2: point \(5, -0.1\) is outside'),
        ((math.nan, 5.0), r'src:2: expected finite coordinates, got \(nan, 5'),
        ((5.0, math.inf), r'src:2: expected finite coordinates, got \(5.0, inf'),
        ((1.0, 2.0), r"src:2: a background click at \(1, 2\) in b.jpg, in the pixel of a 'cat'"),
        (
            (1.9, 2.9),
            r"src:2: a background click at \(1.9, 2.9\) in b.jpg, in the pixel of a 'cat'",
        ),
        ((8.5, 9.0), r"src:2: a background click at .* in the pixel of a 'dog'"),
    ],
)
def test_refused_background_clicks(click, reason):
    """The places of points in the source do not matter: the dog comes after the click."""
    points = [(1.0, 2.0, 'cat'), (2.0, 2.0, 'background'), (*click, 'background'), (8, 9, 'dog')]
    images = [image('b.jpg', *points)]
    with pytest.raises(ValueError, match=f'1 points cannot be used .*:\n  {reason}'):
        assemble_point_json(images)
    content, report = assemble_point_json(images, skip_refused=True)
    assert content['images'][0]['background_points'] == [[2.0, 2.0]]
    assert len(content['annotations']) == 2
    assert (report.num_background, len(report.refused)) == (1, 1)


def test_a_click_may_be_where_a_refused_point_is():
    images = [image('b.jpg', (5, 5, 'cow'), (5, 5, 'background'))]
    content, report = assemble_point_json(images, classes=['cat'], skip_refused=True)
    assert content['images'][0]['background_points'] == [[5.0, 5.0]]
    assert report.refused == ("src:0: class 'cow' is not one of ['cat']",)


def test_several_points_in_a_pixel():
    """Only a second point of a class at the very same position is refused."""
    points = [(5.5, 5.5, 'cat'), (5.6, 5.5, 'cat'), (5.5, 5.5, 'dog')]
    content, _ = assemble_point_json([image('b.jpg', *points)])
    assert [a['point'] for a in content['annotations']] == [[5.5, 5.5], [5.6, 5.5], [5.5, 5.5]]
    with pytest.raises(ValueError, match=r"src:3: a second 'cat' at \(5.5, 5.5\) in b.jpg$"):
        assemble_point_json([image('b.jpg', *points, (5.5, 5.5, 'cat'))])


@pytest.fixture
def click_json(tmp_path):
    """A point json with ids of its own and background clicks, also on an image without points."""
    content = dict(
        images=[
            dict(id=70, file_name='a.jpg', height=4, width=6, background_points=[[1, 2.5], [9, 1]]),
            dict(id='x', file_name='b.jpg', height=4, width=6, background_points=[[0, 0]]),
            dict(id=3, file_name='c.jpg', height=4, width=6),
        ],
        categories=[dict(id=90, name='dog'), dict(id=7, name='cat')],
        annotations=[
            dict(id=12, image_id=3, category_id=7, point=[1, 1]),
            dict(id=5, image_id=70, category_id=90, point=[2, 1]),
        ],
    )

    def write(**changes):
        (tmp_path / 'points.json').write_text(json.dumps({**content, **changes}))
        return tmp_path / 'points.json'

    return write


def test_background_clicks_of_a_point_json(click_json):
    images, classes = read_point_json(click_json())
    assert classes == ['cat', 'dog']
    assert [[(p.x, p.y, p.label) for p in i.background_points] for i in images] == [
        [(1, 2.5, 'background'), (9, 1, 'background')],
        [(0, 0, 'background')],
        [],
    ]
    assert images[0].background_points[1].where.endswith(': images[0]: background_points[1]')
    assert [(p.x, p.y, p.label) for p in images[0].all_points] == [
        (2, 1, 'dog'),
        (1, 2.5, 'background'),
        (9, 1, 'background'),
    ]
    with pytest.raises(ValueError, match=r'images.0.: background_points.1.: point \(9, 1\) is'):
        assemble_point_json(images, classes=classes)
    content, report = assemble_point_json(images, classes=classes, skip_refused=True)
    assert [i.get('background_points') for i in content['images']] == [[[1, 2.5]], [[0, 0]], None]
    assert report.num_background == 2
    with pytest.raises(ValueError, match=r"images.0.: expected no background_points, as 'backgr"):
        assemble_point_json(images, classes=['cat', 'background', 'dog'])


def test_ids_of_the_source_are_kept_if_there_are_any(click_json):
    images, classes = read_point_json(click_json())
    content, _ = assemble_point_json(images, classes=classes, skip_refused=True)
    assert [entry['id'] for entry in content['images']] == [70, 'x', 3]
    assert [(a['id'], a['image_id'], a['category_id']) for a in content['annotations']] == [
        (5, 70, 2),
        (12, 3, 1),
    ]
    annotations = [dict(image_id=3, category_id=7, point=[x, 1]) for x in (1, 2)]
    annotations[1]['id'] = 12
    images, _ = read_point_json(click_json(annotations=annotations))
    content, _ = assemble_point_json(images, classes=classes, skip_refused=True)
    assert [(a['id'], a['image_id']) for a in content['annotations']] == [(1, 3), (2, 3)]


@pytest.mark.parametrize('clicks', [5, None, {'x': 1}, [1, 2], [[1]], [[1, 'x']], [[1, 1e300]]])
def test_malformed_background_clicks(click_json, clicks):
    entry = dict(id=3, file_name='c.jpg', height=4, width=6, background_points=clicks)
    path = click_json(images=[entry], annotations=[])
    with pytest.raises(ValueError, match=r'points.json: images.0.: .*background_points.*, got '):
        read_point_json(path)


def test_a_point_on_the_right_or_lower_edge_belongs_to_the_last_pixel():
    points = [(60, 5, 'cat'), (5, 40.0, 'cat'), (60.0, 40.0, 'dog'), (60, 0, 'background')]
    content, _ = assemble_point_json([image('b.jpg', *points)])
    places = [a['point'] for a in content['annotations']]
    assert [[math.floor(value) for value in place] for place in places] == [
        [59, 5],
        [5, 39],
        [59, 39],
    ]
    assert places == [[pytest.approx(60), 5], [5, pytest.approx(40)], pytest.approx([60, 40])]
    assert content['images'][0]['background_points'] == [[pytest.approx(60), 0]]


def test_no_point_at_all_is_an_error_unless_allowed():
    images = [image('1.jpg'), image('2.jpg')]
    message = r'a.xml: expected a point, got none in 2 images \(--allow-empty goes on without\)$'
    with pytest.raises(ValueError, match=message):
        assemble_point_json(images, where='a.xml')
    images.append(SourceImage('3.jpg', 4, 6, [], 'src', left_out=['src: a polygon']))
    with pytest.raises(ValueError, match='none in 3 images .*; 1 left out:\n  src: a polygon'):
        assemble_point_json(images)
    with pytest.raises(ValueError, match=r"; 1 left out:\n  src:0: class 'cow' is not"):
        assemble_point_json([image('1.jpg', (1, 1, 'cow'))], classes=['cat'], skip_refused=True)
    content, report = assemble_point_json(images, allow_empty=True)
    assert content['annotations'] == [] and report.num_images == 3


def test_an_image_that_cannot_be_used_is_not_listed():
    missing = SourceImage(
        '1.jpg', 4, 6, [SourcePoint(1, 1, 'cat', 'src:0')], 'src', missing='1.jpg: no such file'
    )
    images = [missing, image('2.jpg', (1, 2, 'cat'))]
    with pytest.raises(ValueError, match='1 points cannot be used .*:\n  .*: 1.jpg: no such file'):
        assemble_point_json(images)
    content, report = assemble_point_json(images, skip_refused=True)
    assert [entry['file_name'] for entry in content['images']] == ['2.jpg']
    assert len(report.refused) == 1


def test_classes_are_no_str():
    with pytest.raises(ValueError, match="got the str 'cat'"):
        assemble_point_json([image('1.jpg', (1, 1, 'cat'))], classes='cat')
