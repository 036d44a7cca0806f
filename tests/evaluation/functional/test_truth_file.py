import json

import numpy as np
import pytest

from mmp2seg.evaluation.functional.truth_file import (
    TruthFile,
    compare_files,
    object_areas,
    objects_with_masks,
)
from mmp2seg.ops.rle import encode_rle

CATEGORIES = [{'id': 1, 'name': 'cat'}, {'id': 2, 'name': 'dog'}]


def image(image_id, name=None):
    name = name or f'{image_id}.jpg'
    return {'id': image_id, 'file_name': name, 'height': 8, 'width': 8}


def annotation(image_id, cols, category=1, **fields):
    mask = np.zeros((8, 8), dtype=bool)
    mask[:, cols[0] : cols[1]] = True
    return {
        'image_id': image_id,
        'category_id': category,
        'segmentation': encode_rle(mask),
        'point': [cols[0] + 0.5, 0.5],
        **fields,
    }


@pytest.fixture
def truth_path(tmp_path):
    content = {
        'images': [image(1), image(2), image(3)],
        'categories': CATEGORIES,
        'annotations': [
            annotation(1, (0, 4), id=1),
            annotation(3, (0, 2), id=2),
            annotation(1, (4, 8), id=3),
        ],
    }
    path = tmp_path / 'truth.json'
    path.write_text(json.dumps(content))
    return path


def pseudo_labels(images, annotations, categories=CATEGORIES):
    return {'images': images, 'categories': categories, 'annotations': annotations}


def test_annotations_by_image(truth_path):
    truth = TruthFile(truth_path)
    assert [ann['id'] for ann in truth.annotations_of(1)] == [1, 3]
    assert truth.annotations_of(2) == []
    with pytest.raises(ValueError, match='truth.json: image 9 is not among its images'):
        truth.annotations_of(9)


def test_compare_files_over_the_images_of_the_pseudo_labels(truth_path):
    anns = [annotation(1, (4, 6), point_id=0), annotation(1, (0, 4), point_id=1)]
    ious, touching = compare_files(pseudo_labels([image(1), image(2)], anns), TruthFile(truth_path))
    assert ious.tolist() == [1, 0.5]
    assert touching.tolist() == [True, True]
    everything = pseudo_labels([image(3), image(1)], anns)
    ious, touching = compare_files(everything, TruthFile(truth_path))
    assert ious.tolist() == [0, 1, 0.5]
    assert touching.tolist() == [False, True, True]


def test_objects_of_other_categories_are_left_out(truth_path):
    content = json.loads(truth_path.read_text())
    content['annotations'][2]['category_id'] = 2
    truth_path.write_text(json.dumps(content))
    truth, anns = TruthFile(truth_path), [annotation(1, (0, 4), point_id=1)]
    assert truth.compare(1, anns)[0].tolist() == [1, 0]
    assert truth.compare(1, anns, category_ids=[1])[0].tolist() == [1]
    ious, _ = compare_files(pseudo_labels([image(1)], anns, CATEGORIES[:1]), truth)
    assert ious.tolist() == [1]


def test_compare_no_images(truth_path):
    ious, touching = compare_files(pseudo_labels([], []), TruthFile(truth_path))
    assert ious.shape == touching.shape == (0,)


@pytest.mark.parametrize(
    'pred, message',
    [
        (pseudo_labels([image(9)], []), 'labels: image 9 is not among the images of .*truth.json'),
        (
            pseudo_labels([image(1, 'x.jpg')], []),
            'labels: expected image 1 to be 1.jpg as in .*truth.json, got x.jpg',
        ),
        (
            pseudo_labels([image(1, f'{"x" * 999}.jpg')], []),
            r'to be 1.jpg as in .*truth.json, got x{200}$',
        ),
        (
            pseudo_labels([], [], [{'id': 2, 'name': 'cow'}]),
            "labels: expected category 2 to be 'dog' as in .*truth.json, got 'cow'",
        ),
    ],
)
def test_files_that_do_not_belong_together(truth_path, pred, message):
    with pytest.raises(ValueError, match=message):
        compare_files(pred, TruthFile(truth_path))


def test_malformed_files_name_the_place(tmp_path, truth_path):
    content = json.loads(truth_path.read_text())
    content['annotations'][2]['segmentation']['size'] = [4, 4]
    truth_path.write_text(json.dumps(content))
    with pytest.raises(
        ValueError, match=r'json: image 1 \(1.jpg\): annotation 3: expected a mask of'
    ):
        TruthFile(truth_path).compare(1, [])
    del content['annotations'][2]['segmentation']
    truth_path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"annotations\[2\] lacks \['segmentation'\]"):
        TruthFile(truth_path)
    with pytest.raises(FileNotFoundError, match='other.json'):
        TruthFile(tmp_path / 'other.json')


@pytest.mark.parametrize(
    ('part', 'index', 'changes', 'message'),
    [
        ('images', 2, dict(id=1), r'images\[2\]: id 1 duplicates images\[0\]'),
        ('images', 2, dict(id=[]), r'images\[2\]: expected id to be int or str, got \[\]'),
        ('categories', 1, dict(id=1), r'categories\[1\]: id 1 duplicates categories\[0\]'),
        ('categories', 1, dict(name='cat'), r"categories\[1\]: name 'cat' duplicates"),
        (
            'categories',
            1,
            dict(id=10**30),
            r'categories\[1\]: expected id to be int or str, got 1000',
        ),
        (
            'categories',
            1,
            dict(id=True),
            r'categories\[1\]: expected id to be int or str, got True',
        ),
        ('categories', 1, dict(id='x'), r"categories\[1\]: expected an id like 1 .*, got 'x'"),
        ('categories', 0, dict(id='x'), r"categories\[1\]: expected an id like 'x' .*, got 2"),
        ('annotations', 1, dict(id=1), r'annotations\[1\]: id 1 duplicates annotations\[0\]'),
        ('annotations', 1, dict(image_id=9), 'annotation 2: unknown image_id 9'),
        ('annotations', 1, dict(category_id=9), 'annotation 2: unknown category_id 9'),
        ('annotations', 1, dict(category_id=None), 'annotation 2: unknown category_id None'),
        ('annotations', 1, dict(category_id=[1]), r'annotation 2: unknown category_id \[1\]'),
    ],
)
def test_ids_that_do_not_fit_together(truth_path, part, index, changes, message):
    content = json.loads(truth_path.read_text())
    content[part][index].update(changes)
    truth_path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=f'truth.json: {message}'):
        TruthFile(truth_path)


@pytest.mark.parametrize(
    'segmentation',
    [None, {}, [None], [[1, 1, 1e300, 1, 5, 5]], {'size': [8, 8], 'counts': '0'}],
)
def test_broken_masks_name_the_annotation(truth_path, segmentation):
    content = json.loads(truth_path.read_text())
    content['annotations'][2]['segmentation'] = segmentation
    truth_path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r'truth.json: image 1 \(1.jpg\): annotation 3: expected'):
        TruthFile(truth_path).compare(1, [])
    content['annotations'][2]['iscrowd'] = 1  # crowd regions are not read
    truth_path.write_text(json.dumps(content))
    assert TruthFile(truth_path).compare(1, [])[0].tolist() == [0]


def test_images_without_a_usable_size_are_named(truth_path):
    content = json.loads(truth_path.read_text())
    content['annotations'][0]['segmentation'] = [[0, 0, 4, 0, 4, 8]]
    for height in ('8', 10**30, True, 8.0):
        content['images'][0]['height'] = height
        truth_path.write_text(json.dumps(content))
        with pytest.raises(ValueError, match=r'images\[0\]: expected height to be an integer > 0'):
            TruthFile(truth_path)


def test_malformed_predictions_name_the_image(truth_path):
    pred = {'category_id': 1, 'segmentation': annotation(1, (0, 4))['segmentation']}
    with pytest.raises(ValueError, match=r'truth.json: image 1 \(1.jpg\): malformed entry, Key'):
        TruthFile(truth_path).compare(1, [pred])


def test_labels_of_categories_by_name(truth_path):
    truth = TruthFile(truth_path)
    assert truth.labels_of(['bird', 'dog', 'cat']) == {1: 2, 2: 1}
    assert truth.labels_of(['dog']) == {2: 0}


def test_areas_are_in_the_order_of_the_ious(truth_path):
    content = json.loads(truth_path.read_text())
    content['annotations'] += [
        annotation(2, (0, 1), category=2, id=4),
        annotation(1, (0, 8), id=5, iscrowd=1),
    ]
    truth_path.write_text(json.dumps(content))
    truth = TruthFile(truth_path)
    pred = pseudo_labels([image(3), image(1), image(2)], [], CATEGORIES[:1])
    assert object_areas(pred, truth).tolist() == [16, 32, 32]
    assert len(compare_files(pred, truth)[0]) == 3
    assert object_areas(pseudo_labels([], []), truth).shape == (0,)


@pytest.mark.parametrize('match', ['point', 'point_id'])
def test_objects_with_true_masks(truth_path, match):
    """Of pseudo labels, or of a point json, whose ids are those of the objects."""
    truth = TruthFile(truth_path)
    pred = pseudo_labels([image(1), image(3)], [])
    anns = [
        annotation(1, (0, 4), id=1, point_id=1),
        annotation(1, (4, 8), id=3, point_id=3, supervision='mask'),
        annotation(3, (0, 2), id=2, point_id=2, supervision='box'),
    ]
    points = [
        {k: v for k, v in ann.items() if k not in ('segmentation', 'point_id')} for ann in anns
    ]
    for annotations in (anns, points):
        found = objects_with_masks({'annotations': annotations}, pred, truth, match=match)
        assert found.tolist() == [False, True, False]
    assert objects_with_masks({'annotations': []}, pred, truth).tolist() == [False] * 3
