import copy
import json

import numpy as np
import pytest

from mmp2seg.files.atomic_write import write_json
from mmp2seg.ops.rle import encode_rle
from mmp2seg.pseudo_labels import parts as parts_module
from mmp2seg.pseudo_labels.coco_json import assemble, load
from mmp2seg.pseudo_labels.parts import MergedCounts, merge_files, split_file

CATEGORIES = [dict(id=3, name='cat'), dict(id=5, name='dog')]
IMAGE_IDS = [9, 2, 30, 4, 11, 7, 1]


def points_of(image_ids=IMAGE_IDS):
    """Points of images of which every third has none; annotations in an order of their own."""
    images = [
        dict(id=i, file_name=f'{i}.png', height=4, width=6, background_points=[[i / 2, 1]])
        for i in image_ids
    ]
    annotations = [
        dict(id=100 * k + i, image_id=i, category_id=(3, 5)[k], point=[1.5, 2.0 + k])
        for k in (1, 0)
        for i in sorted(image_ids)
        if i % 3
    ]
    return dict(
        info={'a': 1}, licenses=[], images=images, annotations=annotations, categories=CATEGORIES
    )


def labels_of(points):
    """The labels of points as a command writes them: a mask for the points of class 5."""
    mask = np.zeros((4, 6), bool)
    mask[1:3, 2:4] = True
    rle = encode_rle(mask)
    entries = [
        {**{k: a[k] for k in ('image_id', 'category_id', 'point')}, 'point_id': a['id']}
        for a in points['annotations']
    ]
    found = dict(bbox=[2.0, 1, 2, 2], area=4, segmentation=rle, iscrowd=0, score=0.5)
    return assemble(
        points['images'],
        points['categories'],
        [{**entry, **found} for entry in entries if entry['category_id'] == 5],
        [{**entry, 'reason': 'no_region'} for entry in entries if entry['category_id'] == 3],
        {'description': 'labels'},
    )


@pytest.fixture
def write(tmp_path):
    def _write(name, content):
        write_json(tmp_path / name, content)
        return tmp_path / name

    return _write


@pytest.mark.parametrize('num_parts', [1, 2, 3, 7])
@pytest.mark.parametrize('open_parts', [2, 64])
def test_the_labels_of_the_parts_are_those_of_the_whole(
    write, tmp_path, monkeypatch, num_parts, open_parts
):
    monkeypatch.setattr(parts_module, '_OPEN_PARTS', open_parts)
    points = write('points.json', points_of())
    paths = split_file(points, num_parts, tmp_path / 'parts')
    assert [path.name for path in paths] == [
        f'points_{number}of{num_parts}.json' for number in range(1, num_parts + 1)
    ]
    contents = [json.loads(path.read_text()) for path in paths]
    assert [i['id'] for content in contents for i in content['images']] == IMAGE_IDS
    sizes = [len(content['images']) for content in contents]
    assert max(sizes) - min(sizes) <= 1
    for content in contents:
        ids = [image['id'] for image in content['images']]
        expected = [a for a in points_of()['annotations'] if a['image_id'] in ids]
        assert content == {**points_of(), 'images': content['images'], 'annotations': expected}
        assert list(content) == list(points_of())  # the order of the keys
    labels = [write(f'labels_{i}.json', labels_of(part)) for i, part in enumerate(contents)]
    counts = merge_files(labels, tmp_path / 'merged.json')
    assert counts == MergedCounts(7, 5, 5)
    whole = write('whole.json', labels_of(points_of()))
    assert (tmp_path / 'merged.json').read_bytes() == whole.read_bytes()
    assert not list(tmp_path.glob('*.shards'))
    merge_files(paths, tmp_path / 'points_again.json')
    again = json.loads((tmp_path / 'points_again.json').read_text())
    assert again['images'] == points_of()['images'] and again['info'] == {'a': 1}
    assert sorted(again['annotations'], key=lambda a: a['id']) == sorted(
        points_of()['annotations'], key=lambda a: a['id']
    )


def test_labels_can_be_split_too(write, tmp_path):
    labels = write('labels.json', labels_of(points_of()))
    paths = split_file(labels, 3, tmp_path)
    assert sum(len(load(path)['dropped_points']) for path in paths) == 5
    merge_files(paths, tmp_path / 'merged.json')
    assert (tmp_path / 'merged.json').read_bytes() == labels.read_bytes()


def test_labels_in_another_order(write, tmp_path):
    content = labels_of(points_of())
    expected = write('expected.json', content)
    for part in ('annotations', 'dropped_points'):
        content[part] = content[part][::-1]
    merge_files([write('a.json', content)], tmp_path / 'merged.json')
    assert (tmp_path / 'merged.json').read_bytes() == expected.read_bytes()


def test_new_ids(write, tmp_path):
    others = points_of([7, 4])
    for image in others['images']:
        image['file_name'] = 'b' + image['file_name']
    for name, make, message in (
        ('points', copy.deepcopy, r'image id 4 is 4\.png in one and b4\.png in the other'),
        ('labels', labels_of, r'image id 4 is 4\.png in one and b4\.png in the other'),
    ):
        paths = [write('a.json', make(points_of([4, 2]))), write('b.json', make(others))]
        with pytest.raises(ValueError, match=rf'a\.json and .*b\.json: {message}'):
            merge_files(paths, tmp_path / f'{name}.json')
        assert not (tmp_path / f'{name}.json').exists()
        merge_files(paths, tmp_path / f'{name}.json', renumber=True)
        content = json.loads((tmp_path / f'{name}.json').read_text())
        images = [(image['id'], image['file_name']) for image in content['images']]
        assert images == [(2, '4.png'), (1, '2.png'), (4, 'b7.png'), (3, 'b4.png')]
        entries = [(a['id'], a['image_id']) for a in content['annotations']]
        by_class = [(1, 1), (2, 2), (3, 1), (4, 2), (5, 3), (6, 4), (7, 3), (8, 4)]
        assert entries == (by_class if name == 'points' else [(i, i) for i in (1, 2, 3, 4)])
    assert load(tmp_path / 'labels.json')['annotations'][2]['point_id'] == 104


def changed(content, **values):
    return {**copy.deepcopy(content), **values}


@pytest.mark.parametrize('make', [copy.deepcopy, labels_of])
@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(file_name='2.png'), r'a\.json and .*b\.json: the image 2\.png is in both'),
        (dict(categories=CATEGORIES[::-1]), r'a\.json and .*b\.json: expected the same categories'),
        (dict(image_id=99), r'b\.json: .*99'),
        (dict(category_id=99), r'b\.json: .*99'),
        (dict(info='labels'), r"b\.json: expected an object info, got 'labels'"),
    ],
)
def test_files_that_do_not_fit(write, tmp_path, make, change, message):
    other = make(points_of([7, 1]))
    for key, value in change.items():
        entries = other['images' if key == 'file_name' else 'annotations']
        if key in ('categories', 'info'):
            other[key] = value
        else:
            entries[-1][key] = value
    paths = [write('a.json', make(points_of([4, 2]))), write('b.json', other)]
    with pytest.raises(ValueError, match=message):
        merge_files(paths, tmp_path / 'out.json')
    assert sorted(path.name for path in tmp_path.iterdir()) == ['a.json', 'b.json']


def test_ids_of_points_are_numbers_or_words(write, tmp_path):
    points = points_of([7])
    points['annotations'][0]['id'] = [3]
    with pytest.raises(ValueError, match=r'a\.json: annotations\[0\]: expected an id, got \[3\]'):
        merge_files([write('a.json', points)], tmp_path / 'out.json')


def test_annotation_ids_that_collide(write, tmp_path):
    other = points_of([7])
    other['annotations'][0]['id'] = 104
    paths = [write('a.json', points_of([4])), write('b.json', other)]
    with pytest.raises(ValueError, match=r'a\.json and .*b\.json: annotation id 104 twice'):
        merge_files(paths, tmp_path / 'out.json')


def test_points_and_labels_do_not_mix(write, tmp_path):
    paths = [write('a.json', points_of([4])), write('b.json', labels_of(points_of([7])))]
    with pytest.raises(ValueError, match='the same kind, got points and pseudo labels'):
        merge_files(paths, tmp_path / 'out.json')
    with pytest.raises(ValueError, match='expected different files'):
        merge_files([paths[0]] * 2, tmp_path / 'out.json')
    with pytest.raises(ValueError, match='at least one file'):
        merge_files([], tmp_path / 'out.json')


def test_different_infos_are_named(write, tmp_path):
    parts = [labels_of(points_of([4])), labels_of(points_of([7]))]
    parts[1]['info'] = {'description': 'others'}
    merge_files([write(f'{i}.json', part) for i, part in enumerate(parts)], tmp_path / 'out.json')
    info = load(tmp_path / 'out.json')['info']
    assert info == {'description': 'labels', 'merged_from': ['0.json', '1.json']}


@pytest.mark.parametrize('num_parts', [0, 8])
def test_as_many_parts_as_images_at_most(write, tmp_path, num_parts):
    with pytest.raises(ValueError, match=rf'points\.json: expected 1 to 7 parts, got {num_parts}'):
        split_file(write('points.json', points_of()), num_parts, tmp_path / 'parts')


def test_an_annotation_of_no_image_is_not_lost_in_a_split(write, tmp_path):
    content = points_of()
    content['annotations'][3]['image_id'] = 99
    with pytest.raises(ValueError, match=r'points\.json: annotations\[3\]: unknown image_id 99'):
        split_file(write('points.json', content), 2, tmp_path / 'parts')
    assert not list((tmp_path / 'parts').iterdir())
