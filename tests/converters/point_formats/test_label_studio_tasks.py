import json

import pytest

from mmp2seg.converters.point_formats.label_studio_tasks import image_name, read_tasks


@pytest.fixture
def read(tmp_path):
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
    ],
)
def test_image_name(url, name):
    assert image_name(url) == name


def keypoint(**changes):
    value = dict(x=1, y=2, width=0.5, keypointlabels=['cat'])
    size = dict(original_width=60, original_height=40)
    return {'type': 'keypointlabels', 'from_name': 'label', 'value': value, **size, **changes}


def test_json(read):
    choice = dict(type='choices', value=dict(choices=['good']))
    relation = dict(type='relation', from_id='a', to_id='b')
    cancelled = dict(result=[keypoint()], was_cancelled=True)
    kept = dict(result=[choice, keypoint(), relation, keypoint()], was_cancelled=False)
    (task,) = read(
        [dict(id=9, data=dict(img='x/a.jpg'), annotations=[cancelled, kept], predictions=[1])]
    )
    assert task.image_name == 'a.jpg'
    assert task.where.endswith('export.json: tasks[0]')
    assert task.left_out == [f'{task.where}.annotations[0]: cancelled']
    ((first, second),) = task.annotations
    assert (first.kind, first.height, first.width) == ('keypointlabels', 40, 60)
    assert second.where == f'{task.where}.annotations[1].result[3]'


def test_a_single_task_without_results(read):
    (task,) = read(dict(id=1, data=dict(image='a.jpg'), annotations=[]))
    assert (task.image_name, task.annotations) == ('a.jpg', [])


def test_minimal_json(read):
    value = keypoint()['value'] | dict(original_width=60, original_height=40)
    rows = [
        dict(id=1, image='a.jpg', kp=[value, value], note='t', choice=['a', 'b'], annotation_id=1),
        dict(id=2, image='b.jpg', annotation_id=2),
        dict(id=1, image='a.jpg', kp=[value], annotation_id=3),
    ]
    first, second = read(rows)
    assert (first.image_name, second.image_name) == ('a.jpg', 'b.jpg')
    assert [len(regions) for regions in first.annotations] == [2, 1]
    assert second.annotations == [[]]
    region = first.annotations[0][1]
    assert (region.kind, region.height, region.width) == ('keypointlabels', 40, 60)
    assert region.where.endswith('tasks[0].kp[1]')


def test_image_key(read):
    task = dict(data=dict(photo='a.jpg', other='b.jpg'), annotations=[])
    assert read([task], image_key='photo')[0].image_name == 'a.jpg'
    with pytest.raises(ValueError, match=r"tasks\[0\]: .* image or img, got .*'other', 'photo'"):
        read([task])


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (3, 'export.json: expected a list of tasks, got a int'),
        ([3], r'export.json: tasks\[0\]: expected an object, got 3'),
        ([dict(annotations=[])], r'tasks\[0\]: expected an object data, got None'),
        ([dict(data=dict(image='a.jpg'))], r'tasks\[0\]: expected a list annotations, got None'),
        (
            [dict(data=dict(image='a.jpg'), annotations=[7])],
            r'tasks\[0\].annotations\[0\]: expected an object with a list result',
        ),
        (
            [dict(data=dict(image='a.jpg'), annotations=[dict(result=[keypoint(value=None)])])],
            r'tasks\[0\].annotations\[0\].result\[0\]: expected an object value, got None',
        ),
        (
            [dict(data=dict(image='a.jpg'), annotations=[dict(result=[keypoint(type=None)])])],
            r'annotations\[0\].result\[0\]: expected an object with a type',
        ),
        ([dict(image='a.jpg', kp=[dict(x=1, y=2)])], r'tasks\[0\].kp\[0\]: expected keypointlabel'),
        ([dict(kp=[])], r'tasks\[0\]: expected an image in image or img'),
    ],
)
def test_malformed(read, content, message):
    with pytest.raises(ValueError, match=message):
        read(content)


def test_broken_files(tmp_path):
    path = tmp_path / 'export.json'
    path.write_text('[{"id": 1,\n "data"')
    with pytest.raises(ValueError, match='export.json: no json, line 2 column'):
        read_tasks(path)
    path.write_bytes(b'["\xff"]')
    with pytest.raises(ValueError, match=r'export\.json: expected text in UTF-8'):
        read_tasks(path)
    with pytest.raises(FileNotFoundError, match='none.json: there is no such file'):
        read_tasks(tmp_path / 'none.json')
