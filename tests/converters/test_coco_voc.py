import json

import numpy as np
import pytest
from PIL import Image

from mmp2seg.analysis.dataset_check.image_classes import read_image_classes
from mmp2seg.converters.coco_voc import coco_to_voc_points, voc_points_to_coco
from mmp2seg.converters.point_json import read_point_json
from mmp2seg.datasets.point_voc import PointVOCDataset

CATEGORIES = [dict(id=90, name='hot dog'), dict(id=1, name='person'), dict(id=13, name='sign')]
CLASSES = ['person', 'sign', 'hot dog']
# Not sorted by id, and with coordinates that float subtraction would change.
POINTS = [
    (12, 7, 90, (0.1, 2.0)),
    (11, 9, 1, (1 / 3, 17.3)),
    (15, 7, 1, (12.5, 0.5)),
    (13, 7, 90, (29.999999999999996, 0.0)),
]


@pytest.fixture
def content():
    return dict(
        images=[
            dict(id=9, file_name='b.jpg', height=20, width=30),
            dict(id=7, file_name='a.jpg', height=20, width=30),
            dict(id=3, file_name='empty.jpg', height=20, width=30),
        ],
        categories=CATEGORIES,
        annotations=[
            dict(id=number, image_id=image, category_id=category, point=list(point))
            for number, image, category, point in POINTS
        ]
        + [dict(id=14, image_id=7, category_id=1, iscrowd=1)],
    )


@pytest.fixture
def convert(tmp_path):
    def run(content, **options):
        (tmp_path / 'images').mkdir(exist_ok=True)
        for image in content['images']:
            path = tmp_path / 'images' / image['file_name']
            path.parent.mkdir(exist_ok=True)
            Image.new('RGB', (30, 20)).save(path)
        (tmp_path / 'points.json').write_text(json.dumps(content))
        arguments = tmp_path / 'points.json', tmp_path / 'images', tmp_path / 'voc'
        return coco_to_voc_points(*arguments, **options)

    return run


def points_by_image(content):
    names = {category['id']: category['name'] for category in content['categories']}
    points = {image['id']: [] for image in content['images']}
    for annotation in content['annotations']:
        if not annotation.get('iscrowd'):
            label = names[annotation['category_id']]
            points[annotation['image_id']].append((label, *annotation['point']))
    return {image['file_name']: points[image['id']] for image in content['images']}


def test_files_of_the_layout(convert, content, tmp_path):
    report = convert(content, split='train_aug')
    root = tmp_path / 'voc'
    assert (root / 'ImageSets/Segmentation/train_aug.txt').read_text() == 'b\na\nempty\n'
    assert (root / 'train_cls.txt').read_text() == 'b 0\na 0 2\nempty\n'
    assert (root / 'classes.txt').read_text() == 'person\nsign\nhot dog\n'
    assert (root / 'Center_points/a.txt').read_text() == (
        '-0.4 1.5 2 1\n12 0 0 1\n29.499999999999996 -0.5 2 1\n'
    )
    assert (root / 'Center_points/empty.txt').read_text() == ''
    assert (root / 'JPEGImages').is_symlink()
    assert report.img_suffix == '.jpg'
    assert report.points.num_points == {'person': 2, 'sign': 0, 'hot dog': 2}
    assert (report.points.num_images, report.points.num_empty) == (3, 1)
    classes = read_image_classes(root / 'train_cls.txt', num_classes=3)
    assert classes == {'b': (0,), 'a': (0, 2), 'empty': ()}


def test_there_and_back_keeps_points_classes_and_order(convert, content, tmp_path):
    convert(content)
    voc_points_to_coco(tmp_path / 'voc', tmp_path / 'back.json', classes=CLASSES)
    back = json.loads((tmp_path / 'back.json').read_text())
    assert points_by_image(back) == points_by_image(content)
    assert list(points_by_image(back)) == list(points_by_image(content))
    assert [category['name'] for category in back['categories']] == CLASSES
    sizes = [(image['height'], image['width']) for image in back['images']]
    assert sizes == [(20, 30)] * 3


def test_back_and_there_again_changes_nothing(convert, content, tmp_path):
    convert(content)
    voc_points_to_coco(tmp_path / 'voc', tmp_path / 'back.json', classes=CLASSES)
    back = tmp_path / 'back.json', tmp_path / 'images', tmp_path / 'voc2'
    coco_to_voc_points(*back)
    files = sorted(p.relative_to(tmp_path / 'voc') for p in (tmp_path / 'voc').rglob('*.txt'))
    assert len(files) == 6
    for file in files:
        assert (tmp_path / 'voc2' / file).read_bytes() == (tmp_path / 'voc' / file).read_bytes()


def test_random_points_come_back(convert, content, tmp_path):
    rng = np.random.default_rng(0)
    content['annotations'] = [
        dict(
            id=i,
            image_id=int(rng.choice([3, 7, 9])),
            category_id=int(rng.choice([1, 13, 90])),
            point=[float(p) for p in rng.random(2).astype(dtype) * dtype(20)],
        )
        for i, dtype in enumerate([np.float32, np.float64] * 100)
    ]
    convert(content)
    voc_points_to_coco(tmp_path / 'voc', tmp_path / 'back.json', classes=CLASSES)
    back = json.loads((tmp_path / 'back.json').read_text())
    assert points_by_image(back) == points_by_image(content)


def test_the_data_set_reads_the_layout(convert, content, tmp_path):
    convert(content)
    dataset = PointVOCDataset(
        ann_file='ImageSets/Segmentation/train.txt',
        data_root=str(tmp_path / 'voc'),
        data_prefix=dict(img='JPEGImages', points='Center_points'),
        metainfo=dict(classes=CLASSES),
    )
    read = {
        info['file_name']: [(CLASSES[i['bbox_label']], *i['point']) for i in info['instances']]
        for info in map(dataset.get_data_info, range(3))
    }
    assert read == points_by_image(content)


@pytest.mark.parametrize(
    ('source', 'expected'), [('bbox', '3 4 0 1\n'), ('keypoints', '5 6 0 1\n')]
)
def test_other_sources_of_points(convert, content, tmp_path, source, expected):
    content['annotations'] = [
        dict(id=1, image_id=9, category_id=1, bbox=[1, 2, 5, 5], keypoints=[5, 6, 1])
    ]
    convert(content, point_source=source)
    assert (tmp_path / 'voc/Center_points/b.txt').read_text() == expected


def test_images_of_another_suffix(convert, content, tmp_path):
    for image in content['images']:
        image['file_name'] = image['file_name'].replace('.jpg', '.png')
    report = convert(content, copy=True)
    assert report.img_suffix == '.png'
    (tmp_path / 'images/unused.jpg').touch()
    copies = tmp_path / 'voc/JPEGImages'
    assert not copies.is_symlink()
    assert sorted(file.name for file in copies.iterdir()) == ['a.png', 'b.png', 'empty.png']
    voc_points_to_coco(tmp_path / 'voc', tmp_path / 'back.json', classes=CLASSES)
    back = json.loads((tmp_path / 'back.json').read_text())
    assert points_by_image(back) == points_by_image(content)


@pytest.mark.parametrize(
    ('names', 'message'),
    [
        (('sub/b.jpg', 'a.jpg'), r"images\[0\]: expected an image without folder, .* 'sub/b.jpg'"),
        (('b c.jpg', 'a.jpg'), r"images\[0\]: expected a name without spaces, .* 'b c.jpg'"),
        (('b.jpg', 'b.png'), r"images\[1\]: .* of the name 'b', got b.png and b.jpg"),
        (('b.jpg', 'a.png'), r'images\[1\]: expected images of one suffix, got a.png and b.jpg'),
        (('b.jpg', 'b\\a.jpg'), r'images\[1\]: expected an image without folder'),
    ],
)
def test_names_that_the_layout_cannot_have(convert, content, tmp_path, names, message):
    for image, name in zip(content['images'], names):
        image['file_name'] = name
    with pytest.raises(ValueError, match=rf'points\.json: {message}'):
        convert(content)
    assert not (tmp_path / 'voc').exists()


def test_points_that_cannot_be_placed_stop_or_are_reported(convert, content, tmp_path):
    content['annotations'][0]['point'] = [30.5, 2]
    content['annotations'].append(dict(content['annotations'][1], id=20))
    with pytest.raises(
        ValueError, match=r'(?s)^2 points .*annotation 20: a second .*annotation 12: '
    ):
        convert(content)
    assert not (tmp_path / 'voc').exists()
    report = convert(content, skip_refused=True)
    assert len(report.points.refused) == 2
    assert (tmp_path / 'voc/Center_points/a.txt').read_text().count('\n') == 2


def test_broken_jsons_and_missing_images_are_named(convert, content, tmp_path):
    with pytest.raises(ValueError, match='annotation 12: expected a point of two finite'):
        convert({**content, 'annotations': [{**content['annotations'][0], 'point': 'x'}]})
    with pytest.raises(ValueError, match=r"images\[0\] lacks \['height', 'width'\]"):
        convert({**content, 'images': [dict(id=7, file_name='a.jpg')]})
    with pytest.raises(ValueError, match=r'points\.json: expected at least one image'):
        convert({**content, 'images': [], 'annotations': []})
    with pytest.raises(ValueError, match="got 'mask'"):
        read_point_json(tmp_path / 'points.json', point_source='mask')
    (tmp_path / 'points.json').write_text('[]')
    with pytest.raises(ValueError, match=r'points\.json: expected a json object, got a list'):
        read_point_json(tmp_path / 'points.json')
    (tmp_path / 'points.json').write_text(json.dumps(content))
    (tmp_path / 'images/a.jpg').unlink()
    with pytest.raises(FileNotFoundError, match=r'images/a\.jpg: no such file, of .*images\[1\]'):
        coco_to_voc_points(tmp_path / 'points.json', tmp_path / 'images', tmp_path / 'voc')
    with pytest.raises(FileNotFoundError, match='nowhere: no such folder'):
        coco_to_voc_points(tmp_path / 'points.json', tmp_path / 'nowhere', tmp_path / 'voc')
    assert not (tmp_path / 'voc').exists()
    convert(content)
    with pytest.raises(FileExistsError, match='voc: the folder is not empty'):
        convert(content)


@pytest.fixture
def voc_root(convert, content, tmp_path):
    convert(content, copy=True)
    return tmp_path / 'voc'


def convert_back(voc_root, **options):
    out = voc_root.parent / 'back.json'
    return voc_points_to_coco(voc_root, out, **{'classes': CLASSES, **options})


def test_broken_point_files_are_named(voc_root):
    path = voc_root / 'Center_points/a.txt'
    for text, message in (
        ('1 1 0 1\n\n1 1\n', r"a\.txt:3: expected 'x y class \[confidence\]', got '1 1'"),
        ('1 1 3\n', r"a\.txt:1: expected a class 0\.\.2, got '3'"),
        ('1 nan 0\n', r'a\.txt:1: expected a point of two finite numbers'),
        ('1 1 0\n1 20 0\n', r'a\.txt:2: point \(1.5, 20.5\) is outside of a.jpg, 30 x 20'),
        ('1 1 0\n1 1 0\n', r"a\.txt:2: a second 'person'"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            convert_back(voc_root)
    assert convert_back(voc_root, skip_refused=True).num_points['person'] == 2
    path.write_bytes(b'1 1 0\n1 1 0 \xe9\n')
    with pytest.raises(ValueError, match=r'a\.txt: expected text in UTF-8, .* in line 2'):
        convert_back(voc_root)
    (voc_root.parent / 'back.json').unlink()
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r'a\.txt: no such point file'):
        convert_back(voc_root)
    assert not (voc_root.parent / 'back.json').exists()


def test_other_folders_of_points(voc_root):
    (voc_root / 'Center_points').rename(voc_root / 'Peak_points')
    assert convert_back(voc_root, points_dir='Peak_points').num_points['hot dog'] == 2


def test_broken_images_and_lists_are_named(voc_root):
    images = voc_root / 'JPEGImages'
    (images / 'a.png').touch()
    with pytest.raises(ValueError, match=r"expected one image a, got \['a.jpg', 'a.png'\]"):
        convert_back(voc_root)
    (images / 'a.jpg').unlink()
    with pytest.raises(ValueError, match=r"images of one suffix, got \['.jpg', '.png'\]"):
        convert_back(voc_root)
    (images / 'a.png').rename(images / 'a.jpg')
    with pytest.raises(ValueError, match=r'JPEGImages/a\.jpg: expected an image file'):
        convert_back(voc_root)
    (images / 'a.jpg').unlink()
    with pytest.raises(FileNotFoundError, match=r'JPEGImages/a\.jpg: no such file'):
        convert_back(voc_root)
    with pytest.raises(FileNotFoundError, match=r'val\.txt: no such image list'):
        convert_back(voc_root, split='val')


def test_background_clicks_are_left_out_and_counted(convert, content, tmp_path):
    """Also those that could not be used: the VOC layout has no place for them."""
    without = convert(content)
    files = {p: p.read_bytes() for p in (tmp_path / 'voc').rglob('*.txt')}
    content['images'][0]['background_points'] = [[1, 2], [99, 2]]
    content['images'][2]['background_points'] = [[1, 2]]
    report = convert(content, overwrite=True)
    assert (report.num_background, without.num_background) == (3, 0)
    assert report.points == without.points
    assert {p: p.read_bytes() for p in (tmp_path / 'voc').rglob('*.txt')} == files
