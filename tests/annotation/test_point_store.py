import json

import pytest

from mmp2seg.annotation.point_store import (
    FileChangedError,
    ImagePoints,
    Point,
    PointStore,
    StaleRevisionError,
    parse_points,
)
from mmp2seg.converters.point_json import read_point_json
from mmp2seg.converters.points_file import read_points

NAMES = ('a.png', 'b.png', 'sub/c.png')
SIZE = (40, 60)
CAT, DOG = Point(10.5, 20.5, 'cat'), Point(30, 5, 'dog')
CLICK = Point(50.5, 39.9, 'background')
# a file of another tool: other keys, a crowd, an image that is not in the folder
FOREIGN = dict(
    info=dict(year=2020),
    licenses=[dict(id=1)],
    images=[
        dict(id=31, file_name='gone/x.jpg', height=9, width=9, background_points=[[1, 2]]),
        dict(id=7, file_name='./a.png', height=40, width=60, license=1),
        dict(id=9, file_name='b.png', height=40, width=60),
    ],
    annotations=[
        dict(id=5, image_id=31, category_id=17, point=[3, 4]),
        dict(id=8, image_id=7, category_id=18, point=[30, 5], score=0.5),
        dict(id=2, image_id=7, category_id=17, point=[10.5, 20.5], bbox=[1, 2, 3, 4]),
        dict(id=3, image_id=7, category_id=17, iscrowd=1, bbox=[0, 0, 5, 5]),
    ],
    categories=[dict(id=18, name='dog', color='red'), dict(id=17, name='cat')],
    mine='kept',
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'points.json'


def new_store(path, classes=('cat', 'dog')):
    return PointStore(path, NAMES, classes)


def save(store, name, *points, is_empty=False):
    revision = store.points(name).revision
    return store.save(name, points, size=SIZE, revision=revision, is_empty=is_empty)


def entries(path, part='annotations'):
    return json.loads(path.read_text())[part]


def test_points_are_saved_and_read_again(path):
    store = new_store(path)
    assert not path.exists()
    saved = save(store, 'a.png', CAT, CLICK, DOG)
    assert [point.point_id for point in saved.points] == [1, 2, None]
    assert [(p.x, p.y, p.label) for p in saved.points] == [
        (10.5, 20.5, 'cat'),
        (30, 5, 'dog'),
        (50.5, 39.9, 'background'),
    ]
    save(store, 'sub/c.png', DOG)
    again = new_store(path)
    assert all(again.points(name) == store.points(name) for name in NAMES)
    assert again.points('a.png').revision == saved.revision
    assert again.counts() == store.counts() == [3, 0, 1]
    assert again.size('a.png') == SIZE and again.size('b.png') is None


def test_the_readers_of_the_package_read_the_file(path):
    """A point json as any converter reads it, with the ids of this file."""
    store = new_store(path)
    save(store, 'sub/c.png', DOG)
    save(store, 'a.png', CAT, CLICK)
    images, names = read_point_json(path)
    assert names == ['cat', 'dog']
    assert [image.file_name for image in images] == ['sub/c.png', 'a.png']
    assert [(p.x, p.y, p.label, p.point_id) for p in images[1].all_points] == [
        (10.5, 20.5, 'cat', 2),
        (50.5, 39.9, 'background', None),
    ]


def test_read_points_finds_the_images(path):
    from PIL import Image

    folder = path.parent / 'images'
    (folder / 'sub').mkdir(parents=True)
    for name in NAMES:
        Image.new('L', (60, 40)).save(folder / name)
    store = new_store(path)
    save(store, 'a.png', CAT, CLICK)
    save(store, 'b.png', is_empty=True)
    content = read_points(path, folder)
    assert [image['file_name'] for image in content['images']] == ['a.png', 'b.png']
    assert content['annotations'] == entries(path)


def test_what_is_not_edited_stays(path):
    path.write_text(json.dumps(FOREIGN))
    store = new_store(path)
    assert [(p.label, p.point_id) for p in store.points('a.png').points] == [('dog', 8), ('cat', 2)]
    assert store.counts() == [2, -1, 0]  # an image that is listed without points has no objects
    dog, cat = store.points('a.png').points
    moved = Point(31, 5, 'dog', dog.point_id)
    save(store, 'a.png', moved, cat, Point(1, 1, 'cat'))
    content = json.loads(path.read_text())
    assert [key for key in content if content[key] == FOREIGN[key]] == [
        'info',
        'licenses',
        'images',
        'mine',
    ]
    assert {a['id']: a for a in content['annotations']} == {
        5: FOREIGN['annotations'][0],
        3: FOREIGN['annotations'][3],
        2: FOREIGN['annotations'][2],  # with its box
        8: dict(id=8, image_id=7, category_id=18, point=[31, 5]),  # its score was of another place
        9: dict(id=9, image_id=7, category_id=17, point=[1, 1]),
    }
    assert sorted(content['categories'], key=str) == sorted(FOREIGN['categories'], key=str)
    save(store, 'a.png', dog, cat)  # undo
    assert FOREIGN['annotations'][1] in entries(path)
    save(store, 'a.png', Point(2, 2, 'cat', 3))  # the id of the crowd
    assert [a['id'] for a in entries(path)] == [5, 3, 10]
    save(store, 'a.png')
    assert [a['id'] for a in entries(path)] == [5, 3]  # the crowd keeps the image in the file
    assert store.counts()[0] == 0


def test_images_without_points(path):
    store = new_store(path)
    save(store, 'a.png', CAT)
    assert save(store, 'b.png', is_empty=True) == ImagePoints((), True)
    assert [image['file_name'] for image in entries(path, 'images')] == ['a.png', 'b.png']
    save(store, 'a.png')
    assert [image['file_name'] for image in entries(path, 'images')] == ['b.png']
    assert new_store(path).counts() == store.counts() == [0, -1, 0]
    save(store, 'a.png', CAT)
    save(store, 'b.png')
    assert [image['id'] for image in entries(path, 'images')] == [1]  # the id that it had
    with pytest.raises(ValueError, match='expected no points in an empty image'):
        save(store, 'a.png', CAT, is_empty=True)


def test_ids_of_points(path):
    """A point keeps its id; an id of another image, or a second use of it, is not taken."""
    store = new_store(path)
    first, second = save(store, 'a.png', CAT, DOG).points
    save(store, 'a.png', second)
    assert save(store, 'a.png', first, second).points == (first, second)
    other = save(store, 'b.png', Point(1, 1, 'cat', first.point_id))
    assert other.points[0].point_id == 3
    doubled = save(store, 'a.png', first, Point(2, 2, 'cat', first.point_id))
    assert [point.point_id for point in doubled.points] == [1, 4]
    assert save(store, 'a.png', Point(3, 3, 'dog', 'unknown')).points[0].point_id == 5


def test_annotations_without_ids_get_some(path):
    annotations = [{k: v for k, v in a.items() if k != 'id'} for a in FOREIGN['annotations']]
    path.write_text(json.dumps(FOREIGN | dict(annotations=annotations)))
    store = new_store(path)
    assert [p.point_id for p in store.points('a.png').points] == [2, 3]
    annotations[0]['id'] = 4
    path.write_text(json.dumps(FOREIGN | dict(annotations=annotations)))
    with pytest.raises(ValueError, match=r"annotations\[1\] lacks \['id'\]"):
        new_store(path)


def test_stale_points_are_refused(path):
    store = new_store(path)
    old = store.points('a.png').revision
    saved = save(store, 'a.png', CAT)
    before = path.read_bytes()
    with pytest.raises(StaleRevisionError, match='a.png: the points were changed') as info:
        store.save('a.png', [DOG], size=SIZE, revision=old)
    assert info.value.current == saved
    assert path.read_bytes() == before and store.points('a.png') == saved
    assert old == store.points('b.png').revision != saved.revision
    assert ImagePoints((), True).revision != old


@pytest.mark.parametrize(
    ('points', 'message'),
    [
        ([Point(60.1, 1, 'cat')], r'point \(60.1, 1\) is outside of a.png, 60 x 40 pixels'),
        ([Point(1, -0.1, 'background')], r'\(1, -0.1\) is outside of a.png'),
        ([Point(float('nan'), 1, 'cat')], 'expected finite coordinates'),
        ([Point(1, 1, 'cow')], "class 'cow' is not one of"),
        ([CAT, CAT], r"a second 'cat' at \(10.5, 20.5\)"),
        ([CAT, Point(10.1, 20.9, 'background')], "in the pixel of a 'cat'"),
    ],
)
def test_points_that_cannot_be_used_are_refused(path, points, message):
    store = new_store(path)
    save(store, 'a.png', DOG)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=message):
        save(store, 'a.png', *points)
    assert path.read_bytes() == before
    assert store.points('a.png').points == (Point(30, 5, 'dog', 1),)


def test_a_click_on_the_edge_is_on_the_last_pixel(path):
    store = new_store(path)
    save(store, 'a.png', Point(60, 40, 'cat'), Point(60, 1, 'background'))
    (x, y) = json.loads(path.read_text())['annotations'][0]['point']
    assert 59.9 < x < 60 and 39.9 < y < 40
    assert json.loads(path.read_text())['images'][0]['background_points'][0][0] < 60


def test_another_size_is_refused(path):
    store = new_store(path)
    save(store, 'a.png', CAT)
    with pytest.raises(ValueError, match='expected 60 x 40 pixels in a.png, got 40 x 60'):
        revision = store.points('a.png').revision
        store.save('a.png', [CAT], size=(60, 40), revision=revision)


def test_a_file_that_another_program_changed_is_not_replaced(path):
    store = new_store(path)
    path.write_text('theirs')
    with pytest.raises(FileChangedError, match=r'points.json: another program changed this file'):
        save(store, 'a.png', CAT)
    assert path.read_text() == 'theirs'
    assert store.counts() == [0, 0, 0]
    path.unlink()
    save(store, 'a.png', CAT)
    path.unlink()
    with pytest.raises(FileChangedError):
        save(store, 'a.png', DOG)
    assert store.points('a.png').points[0].label == 'cat'


def test_a_full_disk_changes_nothing(path, monkeypatch):
    store = new_store(path)
    save(store, 'a.png', CAT)
    before, revision = path.read_bytes(), store.points('a.png').revision

    def refuse(*args):
        raise OSError('no space left')

    with monkeypatch.context() as context:
        context.setattr('mmp2seg.annotation.point_store.write_text', refuse)
        for name, points in (('a.png', [DOG]), ('a.png', []), ('b.png', [DOG])):
            with pytest.raises(OSError, match='no space'):
                save(store, name, *points)
    assert path.read_bytes() == before
    assert store.points('a.png').revision == revision and store.counts() == [1, 0, 0]
    save(store, 'b.png', DOG)
    assert new_store(path).counts() == store.counts() == [1, 1, 0]


def test_classes(path):
    with pytest.raises(ValueError, match='no such file: expected the names of the classes'):
        new_store(path, None)
    for classes in (['background'], ['cat', 'background']):
        with pytest.raises(ValueError, match="expected classes without 'background'"):
            new_store(path, classes)
    with pytest.raises(ValueError, match='expected the names of the classes'):
        new_store(path, [])
    save(new_store(path), 'a.png', CAT)
    assert new_store(path, None).classes == ('cat', 'dog')
    for classes in (['dog', 'cat'], ['cat'], ['cow', 'cat', 'dog']):
        with pytest.raises(ValueError, match=r"points.json: its classes are \['cat', 'dog'\]"):
            new_store(path, classes)
    store = new_store(path, ['cat', 'dog', 'cow'])
    save(store, 'a.png', Point(1, 1, 'cow'))
    assert entries(path, 'categories')[2] == dict(id=3, name='cow')
    assert new_store(path, None).classes == ('cat', 'dog', 'cow')


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('a,1,1,cat', 'points.json: invalid json, line 1'),
        ('[]', 'points.json: expected a json object'),
        ('{"images": []}', "points.json: expected a list 'categories'"),
        (
            FOREIGN | dict(annotations=[dict(id=1, image_id=7, category_id=17, bbox=[1, 2, 3, 4])]),
            'points.json: annotation 1: .*point',
        ),
        (
            FOREIGN | dict(annotations=[dict(id=1, image_id=7, category_id=17, point=[99, 1])]),
            r'annotation 1: point \(99, 1\) is outside of ./a.png',
        ),
        (
            FOREIGN
            | dict(
                images=[*FOREIGN['images'], FOREIGN['images'][1] | dict(id=1, file_name='a.png')]
            ),
            'points.json: expected each image once',
        ),
        (
            FOREIGN | dict(images=[dict(id=1, file_name='/a', height=1, width=1)], annotations=[]),
            r'images\[0\]: expected a file in the image folder',
        ),
        (
            dict(images=[], annotations=[], categories=[dict(id=1, name='background')]),
            "expected categories without 'background'",
        ),
    ],
)
def test_files_that_are_not_ours(path, content, message):
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    before = path.read_bytes()
    with pytest.raises(ValueError, match=message):
        new_store(path, None)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ('value', 'message'),
    [
        (None, 'expected a list of points, got None'),
        ([1], r'points\[0\]: expected x, y, label and id'),
        ([dict(x=1, y='1', label='cat')], r'points\[0\]'),
        ([dict(x=1, y=2, label='cat'), dict(x=1, y=2, label=3)], r'points\[1\]'),
        ([dict(x=1, y=10**400, label='cat')], r'points\[0\]'),
        ([dict(x=1, y=2, label='cat', id=[])], r'points\[0\]'),
    ],
)
def test_parse_points(value, message):
    with pytest.raises(ValueError, match=message):
        parse_points(value)
    assert parse_points([dict(x=1, y=2.5, label='cat')]) == [Point(1, 2.5, 'cat')]
    assert parse_points([dict(x=1, y=2, label='cat', id='k')])[0].point_id == 'k'


def test_true_masks_stay_with_their_points(path):
    """A further point has no mask: the image's flag, that all have one, would be wrong."""
    square = [[8, 18, 14, 18, 14, 24, 8, 24]]
    content = dict(
        images=[dict(id=7, file_name='a.png', height=40, width=60, supervision='mask')],
        annotations=[
            dict(id=2, image_id=7, category_id=1, point=[10.5, 20.5], segmentation=square)
        ],
        categories=[dict(id=1, name='cat'), dict(id=2, name='dog')],
    )
    content['annotations'][0]['supervision'] = 'mask'
    path.write_text(json.dumps(content))
    store = new_store(path)
    (point,) = store.points('a.png').points
    save(store, 'a.png', point)
    assert entries(path) == content['annotations'] and entries(path, 'images') == content['images']
    save(store, 'a.png', point, DOG)
    assert entries(path)[0] == content['annotations'][0]
    assert 'supervision' not in entries(path, 'images')[0]
    assert len(new_store(path).points('a.png').points) == 2
