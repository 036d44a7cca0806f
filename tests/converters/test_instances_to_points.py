import json
import math
import os
import random
import time
import tracemalloc

import numpy as np
import pytest

from mmp2seg.converters.instances_to_points import convert_instances
from mmp2seg.converters.kept_truth import KeptTruth
from mmp2seg.converters.point_json import read_point_json
from mmp2seg.converters.point_rules import PointRule
from mmp2seg.datasets.point_coco import PointCocoDataset
from mmp2seg.ops.rle import encode_rle


def write_many_instances(path, *, num_annotations, seed=0):
    """Write a COCO json with outlines similar to COCO's.

    Images of 640 x 480 with seven objects each; one of a hundred is a crowd. Polygons have 3 to 37
    corners (COCO: 20 on average), every tenth has two parts; every twentieth mask is a compressed
    RLE, every twentieth an uncompressed RLE. A box is 120 x 120 pixels on average.
    """
    rng = random.Random(seed)
    num_images = max(num_annotations // 7, 1)
    rles = [_ellipse_rles(index) for index in range(4)]
    annotations = []
    for number in range(1, num_annotations + 1):
        x, y = rng.uniform(150, 490), rng.uniform(130, 350)
        radius = min(rng.expovariate(1 / 60) + 4, 120)
        if number % 20 < 2:
            segmentation = rles[number % 4][number % 20]
        else:
            parts = 1 + (number % 10 == 5)
            segmentation = [_polygon(rng, x + 9 * part, y, radius) for part in range(parts)]
        annotations.append(
            dict(
                id=number,
                image_id=number % num_images + 1,
                category_id=number % 80 + 1,
                segmentation=segmentation,
                bbox=[round(v, 2) for v in (x - radius, y - radius, 2 * radius, 2 * radius)],
                area=round(math.pi * radius**2, 2),
                iscrowd=int(number % 100 == 1),
            )
        )
    names = [f'{i + 1:012}.jpg' for i in range(num_images)]
    images = [dict(id=i + 1, file_name=n, height=480, width=640) for i, n in enumerate(names)]
    categories = [dict(id=i + 1, name=f'class_{i + 1}') for i in range(80)]
    content = dict(images=images, categories=categories, annotations=annotations)
    path.write_text(json.dumps(content))


def _polygon(rng, x, y, radius):
    corners = []
    count = rng.randint(3, 37)
    for corner in range(count):
        reach, angle = radius * rng.uniform(0.6, 1), 2 * math.pi * corner / count
        corners += [round(x + reach * math.cos(angle), 2), round(y + reach * math.sin(angle), 2)]
    return corners


def _ellipse_rles(index):
    rows, cols = np.mgrid[:480, :640]
    mask = (cols - 300) ** 2 + (1 + index) * (rows - 200) ** 2 < 70**2
    borders = np.flatnonzero(np.diff(mask.T.ravel())) + 1
    counts = np.diff([0, *borders, mask.size]).tolist()
    return encode_rle(mask), dict(size=[480, 640], counts=counts)


def square(x, y, side):
    return [[x, y, x + side, y, x + side, y + side, x, y + side]]


def rle_of(rows, cols):
    mask = np.zeros((30, 40), bool)
    mask[rows, cols] = True
    return encode_rle(mask)


CONTENT = dict(
    images=[
        dict(id=7, file_name='a/x.jpg', height=30, width=40, license=3),
        dict(id=3, file_name='empty.png', height=20, width=20),
    ],
    categories=[
        dict(id=90, name='cat', supercategory='animal'),
        dict(id=5, name='dog'),
        dict(id=6, name='none'),
    ],
    annotations=[
        dict(id=70, image_id=7, category_id=90, segmentation=square(10, 5, 5), bbox=[10, 5, 5, 5]),
        dict(
            id=20,
            image_id=7,
            category_id=5,
            segmentation=rle_of(slice(20, 23), slice(30, 37)),
            bbox=[30, 20, 7, 3],
            iscrowd=0,
        ),
        dict(id=21, image_id=7, category_id=5, segmentation=rle_of(0, 0), iscrowd=1),
    ],
)


@pytest.fixture
def convert(tmp_path):
    """Converts a content with a rule; returns the content of the result and the report."""

    def run(content, rule, **options):
        source, target = tmp_path / 'instances.json', tmp_path / 'points.json'
        source.write_text(content if isinstance(content, str) else json.dumps(content))
        report = convert_instances(source, target, rule=rule, **options)
        return json.loads(target.read_text()), report

    return run


def changed(**values):
    """Return CONTENT with changed values in its first annotation; None removes a key."""
    content = json.loads(json.dumps(CONTENT))
    first = {**content['annotations'][0], **values}
    content['annotations'][0] = {key: value for key, value in first.items() if value is not None}
    return content


@pytest.mark.parametrize('name', ['box-center', 'mass-center'])
def test_points_ids_images_and_categories(convert, name):
    points, report = convert(CONTENT, PointRule(name))
    assert points['images'] == CONTENT['images']
    assert points['categories'] == CONTENT['categories']
    assert points['annotations'] == [
        dict(id=70, image_id=7, category_id=90, point=[12.5, 7.5]),
        dict(id=20, image_id=7, category_id=5, point=[33.5, 21.5]),
    ]
    assert points['info'] == dict(description=f'points: {name}', source='instances.json')
    assert str(report).splitlines() == [
        '2 images (1 without points), 2 points',
        '  cat: 1',
        '  dog: 1',
        '  none: 0',
        '1 crowd annotations left out',
    ]
    assert convert(CONTENT, PointRule(name), track=lambda parts: [*parts, []])[0] == points


def test_boxes_alone_are_enough_for_their_centre(convert):
    content = json.loads(json.dumps(CONTENT))
    for annotation in content['annotations']:
        annotation.pop('segmentation')
    assert len(convert(content, PointRule('box-center'))[0]['annotations']) == 2
    with pytest.raises(ValueError, match='annotation 70: it has no segmentation'):
        convert(content, PointRule('mass-center'))


def test_polygons_and_both_kinds_of_rle_have_the_same_points(convert):
    mask = np.zeros((30, 40), bool)
    mask[5:10, 10:15] = True
    borders = np.flatnonzero(np.diff(mask.T.ravel())) + 1
    counts = np.diff([0, *borders, mask.size]).tolist()
    rule = PointRule('random', num_points=4)
    found = [
        convert(changed(segmentation=segmentation), rule)[0]['annotations'][0]['points']
        for segmentation in (
            square(10, 5, 5),
            encode_rle(mask),
            dict(size=[30, 40], counts=counts),
        )
    ]
    assert found[0] == found[1] == found[2]
    assert all(10 < x < 15 and 5 < y < 10 for x, y in found[0])


def test_points_of_an_object_do_not_depend_on_the_others(convert):
    rule = PointRule('random', num_points=3, seed=4)
    all_of_them = convert(CONTENT, rule)[0]['annotations']
    alone = dict(CONTENT, annotations=CONTENT['annotations'][1:2])
    assert convert(alone, rule)[0]['annotations'] == all_of_them[1:]
    assert convert(CONTENT, rule)[0]['annotations'] == all_of_them
    for annotation in all_of_them:
        assert annotation['point'] == annotation['points'][0]
        assert len({tuple(point) for point in annotation['points']}) == 3
    other_seed = PointRule('random', num_points=3, seed=5)
    assert convert(CONTENT, other_seed)[0]['annotations'] != all_of_them


def test_coincident_points_are_counted(convert):
    content = changed()
    content['annotations'].append({**content['annotations'][0], 'id': 71})
    points, report = convert(content, PointRule('box-center'))
    assert [annotation['id'] for annotation in points['annotations']] == [70, 20, 71]
    assert report.num_coincident == 1
    assert '1 points at the position of an earlier point' in str(report)
    content['annotations'][3]['category_id'] = 6
    assert convert(content, PointRule('box-center'))[1].num_coincident == 0


@pytest.mark.parametrize(
    ('values', 'rule', 'reason'),
    [
        (dict(bbox=None), 'box-center', 'four numbers x, y, w, h, got None'),
        (dict(bbox=[60, 5, 5, 5]), 'box-center', r'\(62.5, 7.5\) of its bbox is outside'),
        (dict(segmentation=None), 'random', 'it has no segmentation'),
        (dict(segmentation=[]), 'random', 'it has no segmentation'),
        (dict(segmentation=square(60, 5, 5)), 'random', 'its mask has no pixels'),
        (dict(segmentation=[[1, 2, 3]]), 'random', r'got \[1, 2, 3\]'),
        (dict(segmentation=rle_of([], [])), 'mass-center', 'its mask has no pixels'),
        (dict(image_id=8), 'box-center', 'unknown image_id 8'),
        (dict(image_id=[7]), 'box-center', r'unknown image_id \[7\]'),
        (dict(category_id=91), 'box-center', 'unknown category_id 91'),
        (dict(id=-1), 'random', 'expected an integer >= 0 as id, got -1'),
        (dict(id='70'), 'random', "as id, got '70'"),
    ],
)
def test_refused_annotations(convert, tmp_path, values, rule, reason):
    content = changed(**values)
    number = values.get('id', 70)
    with pytest.raises(ValueError, match=f'instances.json: annotation {number}: .*{reason}'):
        convert(content, PointRule(rule))
    assert os.listdir(tmp_path) == ['instances.json']
    points, report = convert(content, PointRule(rule), skip_refused=True)
    assert [annotation['id'] for annotation in points['annotations']] == [20]
    assert len(report.refused) == 1
    assert '1 points left out:\n' in str(report) and 'annotation' in report.refused[0]


def test_second_annotation_of_an_id_is_refused(convert):
    content = changed(id=20)
    with pytest.raises(ValueError, match='annotation 20: an earlier annotation has this id'):
        convert(content, PointRule('box-center'))


def test_many_refused_annotations_are_shortened(convert):
    content = changed()
    content['annotations'] += [dict(content['annotations'][0], id=i, bbox=None) for i in range(14)]
    with pytest.raises(ValueError) as info:
        convert(content, PointRule('box-center'))
    lines = str(info.value).splitlines()
    assert lines[0] == '14 annotations without a point (--skip-refused leaves them out):'
    assert len(lines) == 12 and lines[-1] == '  ... and 4 more'


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('[1', 'instances.json: invalid json, line 1'),
        (dict(images=[], categories=[]), "expected a list 'annotations'"),
        (changed(category_id=None), r"annotations\[0\] lacks \['category_id'\]"),
        (changed(id=None), r"annotations\[0\] lacks \['id'\]"),
        (dict(CONTENT, images=CONTENT['images'] * 2), r'images\[2\]: id 7 duplicates'),
        (dict(CONTENT, categories=CONTENT['categories'] * 2), r'categories\[3\]: id 90 duplicates'),
        (
            dict(CONTENT, images=[dict(CONTENT['images'][0], height=0)]),
            r'images\[0\]: expected height to be an integer > 0, got 0',
        ),
    ],
)
def test_broken_files(convert, tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        convert(content, PointRule('box-center'), skip_refused=True)
    assert os.listdir(tmp_path) == ['instances.json']


def test_source_is_not_overwritten(tmp_path):
    path = tmp_path / 'instances.json'
    path.write_text(json.dumps(CONTENT))
    (tmp_path / 'link.json').symlink_to(path)
    with pytest.raises(ValueError, match='link.json: expected an output file that is not the inp'):
        convert_instances(path, tmp_path / 'link.json', rule=PointRule('box-center'))
    with pytest.raises(FileNotFoundError, match='gone.json'):
        convert_instances(tmp_path / 'gone.json', path, rule=PointRule('box-center'))
    assert json.loads(path.read_text()) == CONTENT


def test_result_is_read_by_the_data_set_and_by_other_converters(convert, tmp_path):
    convert(CONTENT, PointRule('random', num_points=2))
    path = tmp_path / 'points.json'
    images, classes = read_point_json(path)
    assert classes == ['dog', 'none', 'cat']
    assert [len(image.points) for image in images] == [2, 0]
    dataset = PointCocoDataset(ann_file=str(path), data_prefix=dict(img='i'), test_mode=True)
    instances = dataset.get_data_info(0)['instances']
    expected = json.loads(path.read_text())['annotations']
    assert [instance['point_id'] for instance in instances] == [70, 20]
    assert [instance['point'] for instance in instances] == [entry['point'] for entry in expected]


def test_many_annotations_are_quick_and_small(tmp_path):
    # COCO has a hundred times as many annotations; decoding a mask of image size takes 1 ms.
    path = tmp_path / 'many.json'
    write_many_instances(path, num_annotations=1000)
    start = time.process_time()
    report = convert_instances(path, tmp_path / 'points.json', rule=PointRule('mass-center'))
    assert time.process_time() - start < 5
    assert sum(report.num_points.values()) == 990
    tracemalloc.start()
    convert_instances(path, tmp_path / 'points.json', rule=PointRule('random'))
    assert tracemalloc.get_traced_memory()[1] < 10 * path.stat().st_size
    tracemalloc.stop()


def test_empty_parents_and_nothing_at_all(tmp_path):
    categories = [
        dict(id=0, name='fruits', supercategory='none'),
        dict(id=1, name='apple', supercategory='fruits'),
    ]
    box = dict(id=1, image_id=1, category_id=1, bbox=[2, 1, 4, 4])
    content = dict(images=[dict(id=1, file_name='a.png', height=8, width=12)])
    content |= dict(categories=categories, annotations=[box])
    path, out = tmp_path / 'i.json', tmp_path / 'p.json'
    path.write_text(json.dumps(content))
    report = convert_instances(path, out, rule=PointRule('box-center'))
    assert json.loads(out.read_text())['categories'] == categories[1:]
    assert "category 'fruits' is no class" in str(report)
    out.unlink()
    path.write_text(json.dumps(content | dict(annotations=[])))
    with pytest.raises(ValueError, match=r'i\.json: expected a point, got none in 1 images'):
        convert_instances(path, out, rule=PointRule('box-center'))
    assert not out.exists()
    convert_instances(path, out, rule=PointRule('box-center'), allow_empty=True)


def _truth(path, **changes):
    annotations = [
        dict(id=n, image_id=image, category_id=1, segmentation=square(2, 3, 5), bbox=[2, 3, 5, 5])
        for n, image in enumerate((1, 1, 2), start=1)
    ]
    annotations.append(
        dict(id=9, image_id=2, category_id=1, iscrowd=1, segmentation=square(9, 9, 4))
    )
    images = [dict(id=n, file_name=f'{n}.png', height=30, width=40) for n in (1, 2)]
    annotations[0].update(changes)
    content = dict(images=images, categories=[dict(id=1, name='a')], annotations=annotations)
    path.write_text(json.dumps(content))
    return content


def test_kept_masks_are_unchanged_and_flagged(tmp_path):
    truth = _truth(tmp_path / 'truth.json')
    report = convert_instances(
        tmp_path / 'truth.json',
        tmp_path / 'points.json',
        rule=PointRule('mass-center'),
        kept=KeptTruth(1),
    )
    content = json.loads((tmp_path / 'points.json').read_text())
    assert [a['supervision'] for a in content['annotations']] == ['mask'] * 3
    assert content['annotations'][0]['segmentation'] == truth['annotations'][0]['segmentation']
    assert 'bbox' not in content['annotations'][0]
    # the second image has a crowd: what is not masked may be objects
    assert [image.get('supervision') for image in content['images']] == ['mask', None]
    assert report.num_kept == dict(mask=3) and '3 with a true mask' in str(report)
    assert content['info']['description'].endswith('1 of objects with masks (seed 0)')
    entries = PointCocoDataset(ann_file=str(tmp_path / 'points.json')).load_data_list()
    assert [entry['complete'] for entry in entries] == [True, False]


def test_kept_boxes(tmp_path):
    _truth(tmp_path / 'truth.json')
    convert_instances(
        tmp_path / 'truth.json',
        tmp_path / 'points.json',
        rule=PointRule('box-center'),
        kept=KeptTruth(boxes=1),
    )
    content = json.loads((tmp_path / 'points.json').read_text())
    assert [a['bbox'] for a in content['annotations']] == [[2, 3, 5, 5]] * 3
    assert all('segmentation' not in a for a in content['annotations'])
    assert all('supervision' not in image for image in content['images'])


@pytest.mark.parametrize(
    ('kept', 'changes', 'message'),
    [
        (KeptTruth(1), dict(segmentation=None), 'it has no segmentation to keep'),
        (KeptTruth(boxes=1), dict(bbox=None), 'it has no bbox to keep'),
        (KeptTruth(boxes=1), dict(bbox=[20, 3, 5, 5]), 'it keeps: .* a bbox around the point'),
    ],
)
def test_what_cannot_be_kept(tmp_path, kept, changes, message):
    _truth(tmp_path / 'truth.json', point=[4.5, 5.5], **changes)
    for annotation in (content := json.loads((tmp_path / 'truth.json').read_text()))['annotations']:
        annotation.setdefault('point', [4.5, 5.5])
    (tmp_path / 'truth.json').write_text(json.dumps(content))
    with pytest.raises(ValueError, match=f'truth.json: annotation 1: {message}'):
        convert_instances(
            tmp_path / 'truth.json', tmp_path / 'out.json', rule=PointRule('given'), kept=kept
        )
    assert not (tmp_path / 'out.json').exists()
