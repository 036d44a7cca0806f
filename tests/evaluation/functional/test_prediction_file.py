import json

import numpy as np
import pytest

from mmp2seg.evaluation.functional.prediction_file import PredictionFile
from mmp2seg.evaluation.functional.truth_file import TruthFile
from mmp2seg.ops.rle import decode_rle, encode_rle

IMAGES = [{'id': i, 'file_name': f'images/{i}.jpg', 'height': 2, 'width': 4} for i in (8, 2, 5)]
CATEGORIES = [{'id': 3, 'name': 'cat'}, {'id': 9, 'name': 'dog'}]
POLYGON = [[0, 0, 2, 0, 2, 2, 0, 2]]


def result(image_id=2, category_id=9, score=0.5, segmentation=POLYGON):
    entry = {'image_id': image_id, 'category_id': category_id}
    return {**entry, 'score': score, 'segmentation': segmentation}


@pytest.fixture
def truth(tmp_path):
    content = {'images': IMAGES, 'categories': CATEGORIES, 'annotations': []}
    (tmp_path / 'truth.json').write_text(json.dumps(content))
    return TruthFile(tmp_path / 'truth.json')


def read(tmp_path, truth, content, **kwargs):
    path = tmp_path / 'pred.json'
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return PredictionFile(path, truth, **kwargs)


def test_coco_results_stand_for_all_images(tmp_path, truth):
    rle = encode_rle(np.eye(2, 4, dtype=bool))
    pred = read(
        tmp_path, truth, [result(score=1), result(5), result(category_id=3, segmentation=rle)]
    )
    assert pred.image_ids == [2, 5, 8]
    masks, scores = pred.of_image(2)
    assert masks.category_ids.tolist() == [9, 3] and scores.tolist() == [1, 0.5]
    assert decode_rle(masks.rles[0]).tolist() == [[True, True, False, False]] * 2
    assert decode_rle(masks.rles[1]).tolist() == np.eye(2, 4, dtype=bool).tolist()
    masks, scores = pred.of_image(8)
    assert masks.rles == [] and scores.shape == (0,)


def test_pseudo_labels_stand_for_their_images(tmp_path, truth):
    images = [{'id': 5, 'file_name': '5.jpg'}]
    content = {'images': images, 'categories': CATEGORIES[1:], 'annotations': [result(5)]}
    pred = read(tmp_path, truth, content)
    assert pred.image_ids == [5]
    assert pred.of_image(5)[1].tolist() == [0.5]


def test_only_the_best_predictions(tmp_path, truth):
    entries = [result(score=score) for score in (0.2, 0.9, 0.9, 0.5)]
    best = read(tmp_path, truth, entries, max_per_image=2)
    assert best.of_image(2)[1].tolist() == [0.9, 0.9]
    assert read(tmp_path, truth, entries, score_thr=0.5).of_image(2)[1].tolist() == [0.9, 0.9, 0.5]


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('[1,', 'pred.json: invalid json, line 1 column 4'),
        ('7', 'pred.json: expected a json object, got a int'),
        ([{}], r"pred.json: results\[0\] lacks \['image_id', 'category_id'"),
        ([result(), result(7)], r'results\[1\]: image 7 is not among the images'),
        ([result(category_id=4)], r'results\[0\]: expected a category of .*truth.json, got 4'),
        ([result(score='high')], r"results\[0\]: expected a number as score, got 'high'"),
        ([result(score=float('nan'))], r'pred.json: invalid json, line 1 column .*: NaN is not'),
        (f'[{json.dumps(result(score=0.25))}]'.replace('0.25', '1e999'), 'score, got inf'),
        ([result(score=True)], r'results\[0\]: expected a number as score, got True'),
        ([result(score=10**400)], r'results\[0\]: expected a number as score, got 1000'),
        ([result([])], r'results\[0\]: image \[\] is not among the images'),
        ([result(10**400)], r'results\[0\]: image 1000.* is not among the images'),
        ([result(category_id={})], r'results\[0\]: expected a category of .*truth.json, got {}'),
        ({'images': []}, "pred.json: expected a list 'categories'"),
        (
            {'images': [], 'categories': [{'id': 3, 'name': 'cow'}], 'annotations': []},
            "pred.json: expected category 3 to be 'cat' as in .*truth.json, got 'cow'",
        ),
        (
            {'images': [{'id': 4, 'file_name': 'a'}], 'categories': [], 'annotations': []},
            'pred.json: image 4 is not among the images of .*truth.json',
        ),
        (
            {'images': [{'id': 5, 'file_name': 'a'}], 'categories': [], 'annotations': []},
            'pred.json: expected image 5 to be images/5.jpg as in .*truth.json, got a',
        ),
    ],
)
def test_malformed_files_name_the_place(tmp_path, truth, content, message):
    with pytest.raises(ValueError, match=message):
        read(tmp_path, truth, content)


@pytest.mark.parametrize(
    'segmentation',
    [
        'x',
        None,
        [[0, 0, '1', 0, 2, 2]],
        [[0, 0, True, 0, 2, 2]],
        [[0, 0, 1e300, 0, 2, 2]],
        [[0, 0, 10**400, 0, 2, 2]],
        {'size': [2, 4]},
        {'size': [3, 4], 'counts': ''},
        {'size': [2, 4], 'counts': [10**400]},
    ],
)
def test_malformed_masks_name_the_place(tmp_path, truth, segmentation):
    with pytest.raises(ValueError, match=r'pred.json: results\[1\]: no mask of image 2: '):
        read(tmp_path, truth, [result(), result(segmentation=segmentation)])


def test_an_object_without_corners_is_named_when_its_image_is_read(tmp_path, truth):
    pred = read(tmp_path, truth, [result(), result(segmentation=[])])
    with pytest.raises(ValueError, match=r'pred.json: results\[1\]: no mask of image 2: '):
        pred.of_image(2)


def test_no_file(tmp_path, truth):
    with pytest.raises(FileNotFoundError, match=r'gone.json: there is no such file'):
        PredictionFile(tmp_path / 'gone.json', truth)
