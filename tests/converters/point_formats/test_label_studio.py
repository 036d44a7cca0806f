import json

import pytest
from PIL import Image

from mmp2seg.converters.point_formats import label_studio
from mmp2seg.converters.point_formats.label_studio import image_name, read_tasks
from mmp2seg.converters.point_json import SourceImage, SourcePoint, assemble_point_json


def result(x, y, kind='keypointlabels', label='cat', size=(60, 40), **value):
    return dict(
        type=kind,
        original_width=size[0],
        original_height=size[1],
        image_rotation=0,
        value={'x': x, 'y': y, 'width': 0.5, kind: [label], **value},
    )


@pytest.fixture
def read(tmp_path):
    """Reads an export of one task with the given annotations, lists of results."""

    def run(*annotations, image='/data/upload/1/ab12cd34-a.jpg', minimal=False, **options):
        if minimal:
            rows = [
                dict(
                    id=4,
                    image=image,
                    kp=[
                        {k: v for k, v in r.items() if k[:8] == 'original'} | r['value'] for r in a
                    ],
                )
                for a in annotations
            ]
        else:
            rows = [dict(data=dict(image=image), annotations=[dict(result=a) for a in annotations])]
        path = tmp_path / 'export.json'
        path.write_text(json.dumps(rows))
        (image,) = label_studio.read(path, **options)
        return image

    return run


def places(image):
    return [(p.x, p.y, p.label) for p in image.points]


def test_round_trip(tmp_path, images, image_dir):
    path = tmp_path / 'tasks.json'
    label_studio.write(images, path, image_prefix='/data/local-files/?d=x/')
    again = label_studio.read(path, image_dir=image_dir)
    for image, expected in zip(again, images, strict=True):
        assert (image.file_name, image.height) == (expected.file_name, expected.height)
        assert [p.label for p in image.points] == [p.label for p in expected.points]
        values = [v for p in image.points for v in (p.x, p.y)]
        wanted = [v for p in expected.points for v in (p.x, p.y)]
        assert values == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize('prefix', ['', 'https://host/x/', '/data/local-files/?d=x/'])
def test_names_survive_the_url(tmp_path, prefix):
    images = [SourceImage('50%25 #1?&d=é+.jpg', 40, 60, [SourcePoint(1, 2, 'cat', '')], '')]
    label_studio.write(images, tmp_path / 'tasks.json', image_prefix=prefix)
    (image,) = label_studio.read(tmp_path / 'tasks.json')
    assert image.file_name == images[0].file_name


@pytest.mark.parametrize('minimal', [False, True])
def test_per_cent(read, minimal):
    image = read([result(50, 25), result(0, 0, label='dog')], minimal=minimal)
    assert (image.file_name, image.height, image.width) == ('ab12cd34-a.jpg', 40, 60)
    assert places(image) == [(30, 10, 'cat'), (0, 0, 'dog')]


def test_prefix_of_uploads(read):
    assert read([result(1, 2)], strip_prefix=True).file_name == 'a.jpg'
    assert read([result(1, 2)], image='cafe1234a-b.jpg', strip_prefix=True).file_name[:4] == 'cafe'


@pytest.mark.parametrize('minimal', [False, True])
def test_several_annotations(read, minimal):
    annotations = [[result(0, 0)], [], [result(50, 50)]]
    assert places(read(*annotations, annotation='first', minimal=minimal)) == [(0, 0, 'cat')]
    assert places(read(*annotations, annotation='last', minimal=minimal)) == [(30, 20, 'cat')]
    with pytest.raises(
        ValueError,
        match=r'export.json: tasks\[0\]: expected one .* got 3 \(--annotation first or --annotatio',
    ):
        read(*annotations, minimal=minimal)


def test_other_shapes(read):
    shapes = [
        result(10, 20, 'rectanglelabels', width=20, height=10),
        result(50, 50, 'ellipselabels', radiusX=5, radiusY=5, rotation=30),
        result(0, 0),
    ]
    image = read(shapes, other_shapes='center')
    assert places(image) == [(12, 10, 'cat'), (30, 20, 'cat'), (0, 0, 'cat')]
    image = read(shapes, other_shapes='skip')
    assert places(image) == [(0, 0, 'cat')]
    _, report = assemble_point_json([image])
    assert report.refused[0].endswith('tasks[0].annotations[0].result[0]: a rectanglelabels')
    with pytest.raises(ValueError, match=r'result\[0\]: expected a keypointlabels, got a rectangl'):
        read(shapes)
    shapes[0]['value']['rotation'] = 30
    with pytest.raises(ValueError, match=r'result\[0\]: .* got a rectanglelabels'):
        read(shapes, other_shapes='center')
    with pytest.raises(
        ValueError, match=r'result\[0\]: expected a keypointlabels, got a keypoint '
    ):
        read([result(1, 2, 'keypoint')])


def test_sizes(read, image_dir):
    options = dict(image='b 1.jpg', image_dir=image_dir)
    assert read([], **options).width == 60
    assert read([result(1, 2)], **options).width == 60
    imported = result(50, 50)
    del imported['original_width'], imported['original_height']
    assert places(read([imported], **options)) == [(30, 20, 'cat')]
    with pytest.raises(
        ValueError,
        match=r'tasks\[0\]: expected the size of ab12cd34-a.jpg, got none .--image-dir DIR',
    ):
        read([imported])
    with pytest.raises(ValueError, match=r'tasks\[0\]: expected 61 x 40 .* 60 x 40 in .*b 1.jpg'):
        read([result(1, 2, size=(61, 40))], **options)
    with pytest.raises(ValueError, match=r'result\[1\]: expected the size of .* got 61 x 40'):
        read([result(1, 2), result(1, 2, size=(61, 40))])


@pytest.mark.parametrize(
    ('entry', 'message'),
    [
        (result('x', 2), r'annotations\[0\].result\[1\]: expected two numbers x, y'),
        (result(None, 2), r'annotations\[0\].result\[1\]: expected two numbers'),
        (result(1, 2, keypointlabels=[]), r'result\[1\]: expected keypointlabels to be a list of'),
        (result(1, 2, keypointlabels=['a', 'b']), r'result\[1\]: expected keypointlabels'),
        (result(1, 2, size=('60', 40)), r"result\[1\]: expected a size in pixels, got '60'"),
        (
            result(1, 2) | dict(image_rotation=90),
            r'result\[1\]: expected an image without rotation',
        ),
    ],
)
def test_malformed(read, entry, message):
    with pytest.raises(ValueError, match=message):
        read([result(1, 2), entry])


def test_wrong_options(read):
    with pytest.raises(ValueError, match='expected annotation to be one of'):
        read([], annotation='best')
    with pytest.raises(ValueError, match='expected other_shapes to be one of'):
        read([], other_shapes='centre')


@pytest.fixture
def tasks_of(tmp_path):
    """Reads the tasks of an export with the given content."""

    def run(content, **options):
        path = tmp_path / 'export.json'
        path.write_text(json.dumps(content))
        return read_tasks(path, **options)

    return run


@pytest.mark.parametrize(
    ('url', 'name'),
    [
        ('a.jpg', 'a.jpg'),
        ('/data/upload/1/ab12cd34-my%20a.jpg', 'ab12cd34-my a.jpg'),
        ('/data/local-files/?d=dir/b%2B1.jpg', 'b+1.jpg'),
        ('http://host:8080/data/local-files/?x=1&d=dir%5Cb+1.jpg&y=2', 'b+1.jpg'),
        ('https://host/x/a.jpg?d=3&token=t/u', 'a.jpg'),
        ('s3://bucket/x/a.jpg', 'a.jpg'),
        ('C:\\images\\a.jpg', 'a.jpg'),
        ('https://host/', ''),
        ('http://[folder/a.jpg', 'a.jpg'),  # no URL
    ],
)
def test_image_name(url, name):
    assert image_name(url) == name


def keypoint(**changes):
    value = dict(x=1, y=2, width=0.5, keypointlabels=['cat'])
    size = dict(original_width=60, original_height=40)
    return {'type': 'keypointlabels', 'from_name': 'label', 'value': value, **size, **changes}


def test_tasks_of_json(tasks_of):
    choice = dict(type='choices', value=dict(choices=['good']))
    relation = dict(type='relation', from_id='a', to_id='b')
    cancelled = dict(result=[keypoint()], was_cancelled=True)
    kept = dict(result=[choice, keypoint(), relation, keypoint()], was_cancelled=False)
    (task,) = tasks_of(
        [dict(id=9, data=dict(img='x/a.jpg'), annotations=[cancelled, kept], predictions=[1])]
    )
    assert task.image_name == 'a.jpg'
    assert task.where.endswith('export.json: tasks[0]')
    assert task.left_out == [f'{task.where}.annotations[0]: cancelled']
    ((first, second),) = task.annotations
    assert (first.kind, first.height, first.width) == ('keypointlabels', 40, 60)
    assert second.where == f'{task.where}.annotations[1].result[3]'


def test_a_single_task_without_results(tasks_of):
    (task,) = tasks_of(dict(id=1, data=dict(image='a.jpg'), annotations=[]))
    assert (task.image_name, task.annotations) == ('a.jpg', [])


def test_tasks_of_minimal_json(tasks_of):
    value = keypoint()['value'] | dict(original_width=60, original_height=40)
    rows = [
        dict(id=1, image='a.jpg', kp=[value, value], note='t', choice=['a', 'b'], annotation_id=1),
        dict(id=2, image='b.jpg', annotation_id=2),
        dict(id=1, image='a.jpg', kp=[value], annotation_id=3),
    ]
    first, second = tasks_of(rows)
    assert (first.image_name, second.image_name) == ('a.jpg', 'b.jpg')
    assert [len(regions) for regions in first.annotations] == [2, 1]
    assert second.annotations == [[]]
    region = first.annotations[0][1]
    assert (region.kind, region.height, region.width) == ('keypointlabels', 40, 60)
    assert region.where.endswith('tasks[0].kp[1]')


def test_image_key(tasks_of):
    task = dict(data=dict(photo='a.jpg', other='b.jpg'), annotations=[])
    assert tasks_of([task], image_key='photo')[0].image_name == 'a.jpg'
    with pytest.raises(
        ValueError,
        match=r"tasks\[0\]: .* image or img, got .*'other', 'photo'.* \(--image-key FIELD selects",
    ):
        tasks_of([task])


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (3, 'export.json: expected a list of tasks, got a int'),
        ([3], r'export.json: tasks\[0\]: expected an object, got 3'),
        ([dict(annotations=[])], r"tasks\[0\]: expected an object 'data', got None"),
        ([dict(data=dict(image='a.jpg'))], r"tasks\[0\]: expected a list 'annotations', got None"),
        (
            [dict(data=dict(image='a.jpg'), annotations=[7])],
            r'tasks\[0\].annotations\[0\]: expected an object with a list .result., got 7',
        ),
        (
            [dict(data=dict(image='a.jpg'), annotations=[dict(result=[keypoint(value=None)])])],
            r"tasks\[0\].annotations\[0\].result\[0\]: expected an object 'value', got None",
        ),
        (
            [dict(data=dict(image='a.jpg'), annotations=[dict(result=[keypoint(type=None)])])],
            r'annotations\[0\].result\[0\]: expected an object with a .type., got',
        ),
        ([dict(image='a.jpg', kp=[dict(x=1, y=2)])], r'tasks\[0\].kp\[0\]: expected keypointlabel'),
        ([dict(kp=[])], r'tasks\[0\]: expected an image in image or img'),
    ],
)
def test_malformed_exports(tasks_of, content, message):
    with pytest.raises(ValueError, match=message):
        tasks_of(content)


def test_broken_files(tmp_path):
    path = tmp_path / 'export.json'
    path.write_text('[{"id": 1,\n "data"')
    with pytest.raises(ValueError, match='export.json: invalid json, line 2 column'):
        read_tasks(path)
    path.write_bytes(b'["\xff"]')
    with pytest.raises(ValueError, match=r'export\.json: expected text in UTF-8'):
        read_tasks(path)
    with pytest.raises(FileNotFoundError, match='none.json: there is no such file'):
        read_tasks(tmp_path / 'none.json')


def test_background_clicks(tmp_path, clicked, image_dir, all_plain):
    path = tmp_path / 'tasks.json'
    label_studio.write(clicked, path)
    again = all_plain(label_studio.read(path, image_dir=image_dir))
    for image, wanted in zip(again, all_plain(clicked), strict=True):
        assert [label for _, _, label in image[3]] == [label for _, _, label in wanted[3]]
        values = [v for x, y, _ in image[3] for v in (x, y)]
        assert values == pytest.approx([v for x, y, _ in wanted[3] for v in (x, y)], abs=1e-9)


def attribute(kind, key, value):
    """A result about a region: it repeats the region's place."""
    place = dict(x=29.2, y=31.25, width=0.4, **{key: value})
    return dict(type=kind, id='r1', from_name=kind, to_name='image', value=place)


ATTRIBUTES = [
    attribute('choices', 'choices', ['bright']),
    attribute('textarea', 'text', ['near the edge']),
    attribute('rating', 'rating', 3),
    attribute('number', 'number', 7),
    attribute('taxonomy', 'taxonomy', [['a', 'b']]),
]
REGION = dict(
    type='keypointlabels',
    id='r1',
    original_width=12,
    original_height=8,
    value=dict(x=29.2, y=31.25, width=0.4, keypointlabels=['cell']),
)


def test_attributes_of_a_region_are_no_points(tmp_path):
    path = tmp_path / 'export.json'
    task = dict(data=dict(image='a.png'), annotations=[dict(result=[REGION, *ATTRIBUTES])])
    path.write_text(json.dumps([task]))
    (image,) = label_studio.read(path)
    assert [(p.x, p.y) for p in image.points] == [(pytest.approx(3.504), 2.5)]
    assert image.left_out == []
    row = dict(
        id=1, image='a.png', kp=[REGION['value'] | dict(original_width=12, original_height=8)]
    )
    row |= {a['type']: [a['value']] for a in ATTRIBUTES}
    path.write_text(json.dumps([row]))
    (image,) = label_studio.read(path)
    assert [(p.x, p.y) for p in image.points] == [(pytest.approx(3.504), 2.5)]


def test_the_hash_in_front_of_an_upload_is_found_out(tmp_path):
    path = tmp_path / 'export.json'
    task = dict(data=dict(image='/data/upload/1/0a1b2c3d-a.png'), annotations=[])
    path.write_text(json.dumps([task]))
    Image.new('L', (12, 8)).save(tmp_path / 'a.png')
    (image,) = label_studio.read(path, image_dir=tmp_path)
    assert image.file_name == 'a.png'
    Image.new('L', (6, 4)).save(tmp_path / '0a1b2c3d-a.png')  # this is the name on disk
    (image,) = label_studio.read(path, image_dir=tmp_path)
    assert (image.file_name, image.width) == ('0a1b2c3d-a.png', 6)


def test_what_has_no_place_is_left_out_on_request(tmp_path):
    path = tmp_path / 'export.json'
    rotated = REGION | dict(image_rotation=90)
    two = REGION | dict(value=REGION['value'] | dict(keypointlabels=['a', 'b']))
    good = dict(data=dict(image='a.png'), annotations=[dict(result=[REGION, rotated, two])])
    double = dict(data=dict(image='b.png'), annotations=[dict(result=[REGION])] * 2)
    path.write_text(json.dumps([good, double]))
    first, second = label_studio.read(path, skip_refused=True)
    assert (len(first.points), len(first.left_out)) == (1, 2)
    assert 'expected one annotation of the task' in second.missing
