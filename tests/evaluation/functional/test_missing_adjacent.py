"""Table 8 by hand on small drawings."""

import json

import numpy as np
import pytest

from mmp2seg.evaluation.functional.class_masks import ClassMasks, truth_masks
from mmp2seg.evaluation.functional.missing_adjacent import (
    AdjacentObjects,
    found_objects,
    summarize_found,
)
from mmp2seg.evaluation.functional.truth_file import TruthFile
from mmp2seg.files.index_png import write_palette_png
from mmp2seg.ops.rle import encode_rle

# Capitals are cats, small letters are dogs, + is void. A and B lie side by side, so they are
# adjacent; C is alone; d lies beside B but is a dog; e and f are adjacent across the void band.
TRUTH = [
    'AAABBB......CC',
    'AAABBB......CC',
    'AAABBBdd......',
    '..............',
    '..............',
    'ee+++++ff.....',
    'ee+++++ff.....',
]
# A is found whole, B has 4 of its 9 pixels, C is predicted as a dog, e is found by half of its
# pixels, f is missed.
PREDICTIONS = [
    'AAABB.......cc',
    'AAABB.......cc',
    'AAA...dd......',
    '..............',
    '..............',
    'e.............',
    'e.............',
]
HEIGHT, WIDTH = len(TRUTH), len(TRUTH[0])
CATEGORIES = {'cat': 17, 'dog': 18}


def masks_of(rows):
    grid = np.array([list(row) for row in rows])
    letters = sorted(set(grid.ravel()) - {'.', '+'})
    rles = [encode_rle(grid == letter) for letter in letters]
    return ClassMasks.of(rles, [17 if letter.isupper() else 18 for letter in letters])


def write_truth(folder):
    objects = masks_of(TRUTH)
    annotations = [
        {'id': i, 'image_id': 1, 'category_id': int(category), 'segmentation': rle}
        for i, (rle, category) in enumerate(zip(objects.rles, objects.category_ids, strict=True))
    ]
    content = {
        'images': [{'id': 1, 'file_name': 'some/a.jpg', 'height': HEIGHT, 'width': WIDTH}],
        'categories': [{'id': i, 'name': name} for name, i in CATEGORIES.items()],
        'annotations': annotations,
    }
    (folder / 'truth.json').write_text(json.dumps(content))
    return TruthFile(folder / 'truth.json')


def write_void(folder, rows=TRUTH):
    void = np.array([[255 if pixel == '+' else 3 for pixel in row] for row in rows], np.uint8)
    (folder / 'void').mkdir()
    write_palette_png(folder / 'void' / 'a.png', void)
    return folder / 'void'


def test_found_objects_by_hand():
    found = found_objects(masks_of(PREDICTIONS), masks_of(TRUTH))
    #                          A     B      C      d     e     f
    assert found.tolist() == [True, False, False, True, True, False]


def test_adjacent_objects_by_hand(tmp_path):
    truth = write_truth(tmp_path)
    objects, _ = truth_masks(truth, 1)
    of_image = AdjacentObjects(truth).of_image(1, objects)
    assert of_image.tolist() == [True, True, False, False, False, False]
    banded = AdjacentObjects(truth, void_dir=write_void(tmp_path))
    assert banded.of_image(1, objects).tolist() == [True, True, False, False, True, True]
    narrow = AdjacentObjects(truth, void_dir=tmp_path / 'void', void_gap=5)
    assert narrow.of_image(1, objects).tolist() == of_image.tolist()
    wide = AdjacentObjects(truth, gap=6)
    assert wide.of_image(1, objects).tolist() == [True, True, False, True, True, True]


def test_void_maps_in_sub_folders(tmp_path):
    truth = write_truth(tmp_path)  # of some/a.jpg
    objects, _ = truth_masks(truth, 1)
    adjacent = AdjacentObjects(truth, void_dir=write_void(tmp_path, [[*'.' * WIDTH]] * HEIGHT))
    assert adjacent.of_image(1, objects).sum() == 2  # reads void/a.png, which has no void
    (tmp_path / 'void' / 'some').mkdir()
    void = np.array([[255 if pixel == '+' else 3 for pixel in row] for row in TRUTH], np.uint8)
    write_palette_png(tmp_path / 'void' / 'some' / 'a.png', void)
    assert adjacent.of_image(1, objects).sum() == 4


def test_rates_by_hand():
    found = np.array([True, False, False, True, True, False])
    adjacent = np.array([True, True, False, False, True, True])
    assert summarize_found(found, adjacent) == {
        'missing_rate_iou50': 3 / 6,
        'adjacent_rate_iou50': 2 / 4,
        'num_objects': 6,
        'num_missing_iou50': 3,
        'num_adjacent': 4,
        'num_adjacent_found_iou50': 2,
    }


def test_rates_of_nothing_are_nan():
    figures = summarize_found(np.zeros(0, bool), np.zeros(0, bool))
    assert np.isnan([figures['missing_rate_iou50'], figures['adjacent_rate_iou50']]).all()
    assert np.isnan(summarize_found([True], [False])['adjacent_rate_iou50'])
    nothing = ClassMasks.of([], [])
    assert found_objects(masks_of(PREDICTIONS), nothing).shape == (0,)
    assert not found_objects(nothing, masks_of(TRUTH)).any()


def test_one_mask_over_two_equal_objects_finds_both():
    pred, truth = masks_of(['AAAA']), masks_of(['AABB'])
    assert found_objects(pred, truth).tolist() == [True, True]


def test_errors(tmp_path):
    truth = write_truth(tmp_path)
    objects, _ = truth_masks(truth, 1)
    with pytest.raises(FileNotFoundError, match='gone: no such folder of void maps'):
        AdjacentObjects(truth, void_dir=tmp_path / 'gone')
    with pytest.raises(ValueError, match='gap of at least 0'):
        AdjacentObjects(truth, gap=-1)
    with pytest.raises(ValueError, match='void_gap of at least 1'):
        AdjacentObjects(truth, void_gap=0)
    adjacent = AdjacentObjects(truth, void_dir=write_void(tmp_path, TRUTH[:3]))
    with pytest.raises(ValueError, match=r'a.png: expected a map of .* \(7, 14\), got \(3, 14\)'):
        adjacent.of_image(1, objects)
    (tmp_path / 'void' / 'a.png').unlink()
    with pytest.raises(FileNotFoundError, match='a.png'):
        adjacent.of_image(1, objects)
