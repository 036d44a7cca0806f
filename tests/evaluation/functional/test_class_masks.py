import json

import numpy as np
import pytest

from mmp2seg.evaluation.functional.class_masks import (
    ClassMasks,
    best_indices,
    check_sizes,
    ious_by_class,
    truth_masks,
)
from mmp2seg.evaluation.functional.truth_file import TruthFile
from mmp2seg.ops.rle import decode_rle, encode_rle


def columns(start, stop):
    mask = np.zeros((2, 8), dtype=bool)
    mask[:, start:stop] = True
    return encode_rle(mask)


def read(tmp_path, annotations):
    content = {
        'images': [{'id': 7, 'file_name': 'a.jpg', 'height': 2, 'width': 8}],
        'categories': [{'id': i, 'name': f'class {i}'} for i in (3, 4, 5)],
        'annotations': [{'id': i, 'image_id': 7, **ann} for i, ann in enumerate(annotations)],
    }
    (tmp_path / 'truth.json').write_text(json.dumps(content))
    return TruthFile(tmp_path / 'truth.json')


def test_objects_and_crowds_of_any_segmentation(tmp_path):
    polygon = [[0, 0, 3, 0, 3, 2, 0, 2]]
    truth = read(
        tmp_path,
        [
            {'category_id': 3, 'segmentation': polygon, 'iscrowd': 0},
            {
                'category_id': 5,
                'segmentation': {'size': [2, 8], 'counts': [12, 4]},
                'iscrowd': 1,
            },
            {'category_id': 4, 'segmentation': columns(1, 2)},
        ],
    )
    objects, crowds = truth_masks(truth, 7)
    assert objects.category_ids.tolist() == [3, 4]
    assert decode_rle(objects.rles[0])[0].tolist() == [True] * 3 + [False] * 5
    assert crowds.category_ids.tolist() == [5]
    assert decode_rle(crowds.rles[0])[0].tolist() == [False] * 6 + [True] * 2


def test_image_without_objects(tmp_path):
    for part in truth_masks(read(tmp_path, []), 7):
        assert part.rles == [] and part.category_ids.shape == (0,)
        assert part.of_categories([3]).category_ids.shape == (0,)


def test_selection():
    masks = ClassMasks.of(['a', 'b', 'c'], [3, 5, 3])
    assert masks.select(np.array([2, 1])).rles == ['c', 'b']
    assert masks.of_categories([3]).rles == ['a', 'c']
    assert masks.of_categories([3]).category_ids.tolist() == [3, 3]


def test_best_indices():
    scores = np.array([0.2, 0.9, 0.5, 0.9])
    assert best_indices(scores).tolist() == [0, 1, 2, 3]
    assert best_indices(scores, score_thr=0.5).tolist() == [1, 2, 3]
    assert best_indices(scores, max_per_image=1).tolist() == [1]
    assert best_indices(scores, max_per_image=3, score_thr=0.6).tolist() == [1, 3]
    assert best_indices(scores[:0]).shape == (0,)


def test_ious_by_hand():
    pred = ClassMasks.of([columns(0, 2), columns(0, 8), columns(5, 6)], [9, 3, 9])
    truth = ClassMasks.of([columns(0, 4), columns(4, 8)], [9, 8])
    (first, second) = ious_by_class(pred, truth)
    assert [part.tolist() for part in first] == [[1], [], [[]]]
    assert [part.tolist() for part in second] == [[0, 2], [0], [[0.5], [0]]]
    *_, (_, _, shares) = ious_by_class(pred, truth, crowd=True)
    assert shares.tolist() == [[1], [0]]


def test_empty_masks_and_none():
    empty = ClassMasks.of([columns(0, 0)], [1])
    ((_, _, ious),) = ious_by_class(empty, empty)
    assert ious.tolist() == [[0]]
    assert list(ious_by_class(ClassMasks.of([], []), empty)) == []


def test_errors_name_file_and_place(tmp_path):
    wrong = {'category_id': 3, 'segmentation': {'size': [2, 9], 'counts': [18]}}
    with pytest.raises(ValueError, match=r'truth.json: image 7 \(a.jpg\): annotation 0: expected'):
        read(tmp_path, [wrong])
    truth = read(tmp_path, [])
    with pytest.raises(ValueError, match=r'image 7 \(a.jpg\): .* size \[2, 8\], got \[2, 9\]'):
        check_sizes([columns(0, 1), wrong['segmentation']], truth, 7)
    broken = {'category_id': 3, 'segmentation': [[0, 0, '1', 0, 3, 2]], 'iscrowd': 1}
    with pytest.raises(ValueError, match=r'truth.json: image 7 \(a.jpg\): annotation 0: expected'):
        truth_masks(read(tmp_path, [broken]), 7)
    with pytest.raises(ValueError, match='image 8 is not among'):
        truth_masks(truth, 8)
