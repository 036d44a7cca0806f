import json

import pytest
from mmengine.config import ConfigDict

from mmp2seg.analysis.dataset_check.loading import load_entries
from mmp2seg.datasets.point_coco import PointCocoDataset
from mmp2seg.testing import TINY_CLASSES, write_tiny_voc


@pytest.fixture
def voc(tmp_path):
    return ConfigDict(type='mmp2seg.PointVOCDataset', **write_tiny_voc(tmp_path))


@pytest.fixture
def coco(tmp_path):
    """Config of a valid COCO json and its content, which ``write`` writes to disk."""

    def write(**changes):
        (tmp_path / 'points.json').write_text(json.dumps({**CONTENT, **changes}))
        return ConfigDict(
            type='mmp2seg.PointCocoDataset',
            ann_file=str(tmp_path / 'points.json'),
            data_prefix=dict(img='images', seg_map='maps'),
        )

    return write


def annotation(number, **values):
    return {**dict(id=number, image_id=1, category_id=9, point=[1, 2]), **values}


CONTENT = dict(
    images=[
        dict(id=1, file_name='a.jpg', height=4, width=6),
        dict(id=2, file_name='b.jpg'),
    ],
    categories=[dict(id=9, name='cat'), dict(id=4, name='dog')],
    annotations=[annotation(5), annotation(6, category_id=4)],
)


def test_sound_voc(voc, tmp_path):
    loaded = load_entries(voc)
    assert loaded.problems == [] and loaded.sizes == {}
    assert loaded.classes == TINY_CLASSES
    assert [len(entry['instances']) for entry in loaded.entries] == [3, 1, 0]
    assert loaded.ann_file == str(tmp_path / 'ImageSets/train.txt')


def test_broken_lines_and_missing_point_files_of_voc(voc, tmp_path):
    folder = tmp_path / 'Center_points'
    (folder / 'img_1.txt').write_text('1 2\n8 8 0\n8 8 2\n9 9 1\nx 1 0\n')
    (folder / 'img_2.txt').unlink()
    (folder / 'img_3.txt').write_bytes(b'\xff\xfe1 2 0')
    loaded = load_entries(voc)
    assert [len(entry['instances']) for entry in loaded.entries] == [2, 0, 0]
    assert [i['point_id'] for i in loaded.entries[0]['instances']] == [1, 3]
    kinds = [kind for kind, _ in loaded.problems]
    assert kinds == ['points', 'points', 'points', 'missing', 'points']
    lines = [line for _, line in loaded.problems]
    for line, name in zip(lines, ('img_1.txt:1', 'img_1.txt:3', 'img_1.txt:5', 'img_2', 'img_3')):
        assert line.startswith(f'{folder}/{name}')


def test_problems_of_an_image_listed_twice_are_one(voc, tmp_path):
    with open(tmp_path / 'ImageSets' / 'train.txt', 'a') as file:
        file.write('img_1\n')
    (tmp_path / 'Center_points' / 'img_1.txt').write_text('1 2\n')
    loaded = load_entries(voc)
    assert len(loaded.entries) == 4
    assert len(loaded.problems) == 1


def test_sound_coco(coco):
    loaded = load_entries(coco())
    assert loaded.problems == []
    assert loaded.classes == ('dog', 'cat')
    assert loaded.sizes == {1: (4, 6)}
    assert [len(entry['instances']) for entry in loaded.entries] == [2, 0]
    strict = PointCocoDataset(ann_file=loaded.ann_file, data_prefix=dict(img='images'), pipeline=[])
    assert strict.get_data_info(0)['instances'] == loaded.entries[0]['instances']


BROKEN = {
    "annotation 7: expected a point of two finite numbers x y, got ['x', 2]": annotation(
        7, point=['x', 2]
    ),
    'annotation 8: expected a point of two finite numbers x y, got None': annotation(8, point=None),
    'annotation 9: unknown image_id 3': annotation(9, image_id=3),
    'annotation 10: unknown category_id [4]': annotation(10, category_id=[4]),
    'annotation 5: expected a unique whole number as id, got 5': annotation(5),
    'annotation x: expected a unique whole number as id': annotation('x'),
    'annotations[7]: expected a unique whole number as id': annotation(None),
    "annotations[8]: expected an object, got 'text'": 'text',
}


def test_broken_annotations_of_coco(coco):
    broken = [CONTENT['annotations'][0], *BROKEN.values(), CONTENT['annotations'][1]]
    loaded = load_entries(coco(annotations=broken))
    ids = [instance['point_id'] for instance in loaded.entries[0]['instances']]
    assert ids == [5, 6]
    assert {kind for kind, _ in loaded.problems} == {'points'}
    for (_, line), start in zip(loaded.problems, BROKEN, strict=True):
        assert line.startswith(f'{loaded.ann_file}: {start}')


def test_annotations_that_are_not_looked_at_may_lack_points(coco):
    annotations = [annotation(5, iscrowd=1, point=None), annotation(6, category_id=4, point=None)]
    config = coco(annotations=annotations)
    assert len(load_entries(config).problems) == 1
    config.metainfo = dict(classes=['cat'])
    assert load_entries(config).problems == []


def test_broken_images_of_coco(coco):
    images = [*CONTENT['images'], dict(id=3), 'text', dict(id=1, file_name='c.jpg')]
    loaded = load_entries(coco(images=images))
    assert [entry['file_name'] for entry in loaded.entries] == ['a.jpg', 'b.jpg']
    path = loaded.ann_file
    assert loaded.problems == [
        ('images', f"{path}: images[2]: lacks ['file_name']"),
        ('images', f"{path}: images[3]: expected an object, got 'text'"),
        ('images', f'{path}: images[4]: an earlier image has the id 1'),
    ]


def test_what_cannot_be_checked(voc, coco, tmp_path):
    with pytest.raises(ValueError, match='expected a point dataset .*, got CocoDataset'):
        load_entries(ConfigDict(type='CocoDataset'))
    with pytest.raises(ValueError, match='got mmp2seg.Nothing'):
        load_entries(ConfigDict(type='mmp2seg.Nothing'))
    with pytest.raises(ValueError, match="PointVOCDataset: .*'colour'"):
        load_entries(ConfigDict(voc, colour=3))
    with pytest.raises(ValueError, match="expected a COCO json with a list 'images'"):
        load_entries(coco(images=3))
    with pytest.raises(ValueError, match=r"points.json: categories\[0\] lacks \['name'\]"):
        load_entries(coco(categories=[dict(id=1)]))
    with pytest.raises(ValueError, match='train.txt: expected at least one image'):
        (tmp_path / 'ImageSets' / 'train.txt').write_text('')
        load_entries(voc)
    (tmp_path / 'ImageSets' / 'train.txt').unlink()
    with pytest.raises(FileNotFoundError, match='train.txt'):
        load_entries(voc)
    config = coco()
    (tmp_path / 'points.json').write_text('[')
    with pytest.raises(ValueError, match='points.json: invalid json, line 1'):
        load_entries(config)


def test_background_clicks(coco):
    images = [dict(CONTENT['images'][0], background_points=[[1, 2], [9, 9]]), CONTENT['images'][1]]
    loaded = load_entries(coco(images=images))
    assert [entry['background_points'] for entry in loaded.entries] == [[[1, 2], [9, 9]], []]
    images[1] = dict(CONTENT['images'][1], background_points=[[1]])
    loaded = load_entries(coco(images=images))
    ((kind, line),) = loaded.problems
    assert (kind, len(loaded.entries)) == ('images', 1)
    assert line.startswith(f'{loaded.ann_file}: images[1]: background_points[0]: expected a point')
    images[1] = CONTENT['images'][1]
    categories = [*CONTENT['categories'], dict(id=1, name='background')]
    loaded = load_entries(coco(images=images, categories=categories, annotations=[]))
    message = "images[0]: expected no background_points in a file with a category 'background'"
    assert loaded.problems == [('images', f'{loaded.ann_file}: {message}, got 2')]


def test_broken_masks_are_points_that_cannot_be_read(coco):
    broken = annotation(7, supervision='mask', segmentation=[])
    unknown = annotation(8, supervision='polygon')
    sound = annotation(9, supervision='box', bbox=[0, 0, 6, 4], segmentation='not read')
    loaded = load_entries(coco(annotations=[broken, unknown, sound]))
    assert [i['supervision'] for i in loaded.entries[0]['instances']] == ['box']
    lines = [line for _, line in loaded.problems]
    assert "annotation 7: supervision 'mask': expected a polygon" in lines[0]
    assert 'annotation 8: expected supervision to be one of' in lines[1]


def test_an_image_that_has_not_all_masks_although_it_says_so(coco):
    images = [dict(CONTENT['images'][0], supervision='mask'), CONTENT['images'][1]]
    loaded = load_entries(coco(images=images))
    ((kind, line),) = loaded.problems
    assert kind == 'images' and 'image 1: supervision' in line and 'got 2 without' in line
    assert [entry['complete'] for entry in loaded.entries] == [False, False]
