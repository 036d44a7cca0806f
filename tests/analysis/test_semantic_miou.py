import json
import math

import numpy as np
import pytest
import torch
from mmseg.evaluation.metrics import IoUMetric

from mmp2seg.analysis.semantic_miou import (
    SemanticScores,
    compare_drawn_masks,
    compare_semantic_folders,
)
from mmp2seg.files.index_png import write_palette_png
from mmp2seg.ops.rle import encode_rle


def write_folder(folder, maps):
    for name, semantic_map in maps.items():
        path = folder / f'{name}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        write_palette_png(path, np.asarray(semantic_map, dtype=np.uint8))
    return folder


@pytest.fixture
def folders(tmp_path):
    pred = write_folder(tmp_path / 'pred', {'a': [[0, 1, 1, 255]], 'sub/b': [[2, 2, 0]]})
    truth = write_folder(tmp_path / 'gt', {'a': [[0, 1, 0, 1]], 'sub/b': [[2, 255, 0]]})
    return pred, truth


def test_hand_worked_figures(folders):
    scores = compare_semantic_folders(*folders, num_classes=3)
    assert scores.num_maps == 2 and scores.skipped == ()
    assert scores.class_iou[:3].tolist() == [2 / 3, 1 / 3, 1]
    assert np.isnan(scores.class_iou[3])
    assert scores.miou == pytest.approx(2 / 3)
    assert scores.class_accuracy[:3].tolist() == [2 / 3, 1 / 2, 1]
    assert scores.pixel_accuracy == 4 / 6
    assert scores.ignored_share == 1 / 6


def test_maps_with_a_suffix_in_capitals(folders):
    pred, truth = folders
    miou = compare_semantic_folders(pred, truth, num_classes=3).miou
    (pred / 'a.png').rename(pred / 'a.PNG')
    (truth / 'sub' / 'b.png').rename(truth / 'sub' / 'b.Png')
    scores = compare_semantic_folders(pred, truth, num_classes=3, names=['a', 'sub/b'])
    assert (scores.num_maps, scores.miou) == (2, miou)
    assert compare_semantic_folders(pred, truth, num_classes=3).num_maps == 2


def test_agrees_with_mmseg(tmp_path):
    rng = np.random.default_rng(0)
    values = [0, 1, 2, 3, 4, 255]  # class 5 does not occur
    truth = {f'{i}': rng.choice(values, (20, 30)) for i in range(5)}
    noise = {name: rng.choice(values, (20, 30)) for name in truth}
    pred = {name: np.where(rng.random((20, 30)) < 0.7, truth[name], noise[name]) for name in truth}
    scores = compare_semantic_folders(
        write_folder(tmp_path / 'pred', pred), write_folder(tmp_path / 'gt', truth), num_classes=5
    )
    areas = [
        IoUMetric.intersect_and_union(
            torch.from_numpy(pred[name]), torch.from_numpy(truth[name]), 6, 255
        )
        for name in truth
    ]
    theirs = IoUMetric.total_area_to_metrics(*(sum(area) for area in zip(*areas)), ['mIoU'])
    np.testing.assert_allclose(scores.class_iou, theirs['IoU'], rtol=1e-6)
    np.testing.assert_allclose(scores.class_accuracy, theirs['Acc'], rtol=1e-6)
    assert scores.miou == pytest.approx(np.nanmean(theirs['IoU']), rel=1e-6)
    assert scores.pixel_accuracy == pytest.approx(float(theirs['aAcc']), rel=1e-6)


def test_text_and_json(folders):
    names = ['cat', 'dog', 'bird']
    scores = compare_semantic_folders(*folders, num_classes=3)
    content = scores.as_json(names)
    json.dumps(content, allow_nan=False)
    assert content['miou'] == pytest.approx(2 / 3)
    assert content['classes'][1] == dict(name='cat', iou=1 / 3, accuracy=0.5, num_pixels=2)
    assert content['classes'][3] == dict(name='bird', iou=None, accuracy=None, num_pixels=0)
    text = scores.as_text(names)
    assert '| cat        |  33.33 |    50.00 |           2 |' in text
    assert 'bird' not in text
    assert 'mIoU of 3 classes, background included: 66.67' in text
    assert 'without prediction (255): 16.67' in text
    with pytest.raises(ValueError, match='shorter|longer'):
        scores.as_json(names[:2])


def test_no_pixels_have_no_figures():
    scores = SemanticScores(np.zeros((3, 4), np.int64), 1)
    assert all(math.isnan(x) for x in (scores.miou, scores.pixel_accuracy, scores.ignored_share))
    assert scores.as_json(['a', 'b'])['miou'] is None
    assert 'mIoU of 0 classes, background included: -' in scores.as_text(['a', 'b'])


def test_missing_maps(folders):
    pred, truth = folders
    write_folder(pred, {'extra': [[0]]})
    write_folder(truth, {'c': [[0]], 'd': [[0]]})
    with pytest.raises(FileNotFoundError, match='pred: 2 of 5 maps are missing: c, d'):
        compare_semantic_folders(pred, truth, num_classes=3)
    scores = compare_semantic_folders(pred, truth, num_classes=3, names=['a', 'sub/b'])
    assert scores.num_maps == 2
    skipping = compare_semantic_folders(pred, truth, num_classes=3, skip_missing=True)
    assert np.array_equal(skipping.matrix, scores.matrix)
    assert len(skipping.skipped) == 3
    assert f'{truth / "extra"}.png: no such file' in skipping.skipped
    assert 'skipped: 3' in skipping.as_text(['a', 'b', 'c'])
    with pytest.raises(FileNotFoundError, match='pred: 1 of 1 maps are missing: z'):
        compare_semantic_folders(pred, truth, num_classes=3, names=['z'])
    with pytest.raises(ValueError, match='maps of the same names, got none'):
        compare_semantic_folders(pred, truth, num_classes=3, names=['z'], skip_missing=True)
    with pytest.raises(FileNotFoundError, match='nowhere: no such folder'):
        compare_semantic_folders(pred, truth / 'nowhere', num_classes=3)


def test_broken_maps(folders):
    pred, truth = folders
    write_folder(pred, {'a': [[0, 1, 1]]})
    with pytest.raises(ValueError, match=r'pred.a\.png: expected 4 x 1 like .*gt.a\.png, got 3'):
        compare_semantic_folders(pred, truth, num_classes=3)
    (truth / 'sub' / 'b.png').write_bytes(b'broken')
    scores = compare_semantic_folders(
        *(write_folder(folder, {'c': [[1]]}) for folder in folders),
        num_classes=3,
        skip_missing=True,
    )
    assert scores.num_maps == 1
    assert len(scores.skipped) == 2 and 'b.png: expected a PNG image' in scores.skipped[1]
    # a value that is not a class means a wrong number of classes: not skipped
    write_folder(pred, {'c': [[4]]})
    with pytest.raises(
        ValueError, match=r'pred.c\.png .*: expected values 0\.\.3 .* in pred, got 4'
    ):
        compare_semantic_folders(pred, truth, num_classes=3, skip_missing=True)


def test_the_map_that_masks_draw(tmp_path):
    """Category 9 is the second class; the smaller mask is on top; ignored pixels do not count."""
    write_folder(tmp_path, {'a': [[1, 2, 2, 0, 255]], 'sub/b': [[0, 0, 1, 1, 1]]})
    masks = {9: [[0, 1, 1, 0, 1]], 4: [[1, 1, 1, 1, 0]]}
    labels = dict(
        images=[
            dict(id=1, file_name='a.jpg', height=1, width=5),
            dict(id=2, file_name='sub/b.jpg', height=1, width=5),
        ],
        categories=[dict(id=9), dict(id=4)],
        annotations=[
            dict(image_id=1, category_id=key, segmentation=encode_rle(np.array(mask, bool)))
            for key, mask in masks.items()
        ],
    )
    scores = compare_drawn_masks(labels, tmp_path)
    assert scores.num_maps == 2
    assert scores.matrix.tolist() == [[2, 1, 0, 0], [3, 1, 0, 0], [0, 0, 2, 0]]
    labels['images'][0]['width'] = 6
    labels['annotations'] = []
    with pytest.raises(ValueError, match=r'a\.png: '):
        compare_drawn_masks(labels, tmp_path)
