"""Table, json and pictures of a comparison."""

import json
import math

import cv2
import numpy as np
import pytest

from mmp2seg.analysis.point_segmentation.evaluation import MethodScores, evaluate
from mmp2seg.analysis.point_segmentation.report import as_json, draw_result, draw_worst, make_table
from mmp2seg.analysis.point_segmentation.truth_images import TruthImages, TruthSource
from mmp2seg.segmenters import NearestSplit, PointBaseline


@pytest.fixture
def images(truth_folder):
    source = TruthSource(truth_folder.path, truth_folder.images)
    return TruthImages([source], long_side=0, min_area=10)


@pytest.fixture
def methods():
    return {'discs': PointBaseline(rule='discs'), 'nearest': NearestSplit()}


@pytest.fixture
def scores(methods, images):
    return evaluate(methods, images, maps='truth')


def test_the_table_is_aligned_and_in_percent(scores):
    lines = make_table(scores).splitlines()
    assert len({len(line) for line in lines}) == 1 and len(lines) == 4
    assert lines[0].startswith('| method')
    assert [line.split('|')[1].strip() for line in lines[2:]] == ['discs', 'nearest']
    assert [cell.strip() for cell in lines[3].split('|')[2:4]] == ['100.0', '100.0']
    assert '| - ' not in make_table({})


def test_a_mean_of_nothing_is_a_dash():
    cells = [cell.strip() for cell in make_table({'x': MethodScores(1)}).splitlines()[2].split('|')]
    assert cells[1:4] == ['x', '-', '-']


def test_json_has_everything_and_no_nan(scores, images):
    content = json.loads(json.dumps(as_json(scores, images), allow_nan=False))
    assert content['classes'] == ['cat', 'dog']
    assert [content[f'num_{part}'] for part in ('images', 'objects', 'void')] == [2, 3, 2]
    assert (content['long_side'], content['min_area']) == (0, 10)
    nearest = content['methods']['nearest']
    assert nearest['miou'] == nearest['mean_iou'] == 1
    assert nearest['class_iou'] == dict(background=1, cat=1, dog=1)
    first, second = nearest['images']
    assert first['name'] == 'a/1.png' and first['ious'] == [1, 1, 1]
    assert first['areas'] == [64, 64, 144]
    assert second['mean_iou'] is None and second['ious'] == []
    assert math.isclose(
        content['methods']['discs']['mean_iou'],
        np.mean(content['methods']['discs']['images'][0]['ious']),
    )


def test_the_worst_images_are_drawn_by_method_and_rank(methods, scores, images, tmp_path):
    paths = draw_worst(methods, scores, images, tmp_path / 'worst', maps='truth')
    # the second image has no objects
    assert [path.relative_to(tmp_path).as_posix() for path in paths] == [
        'worst/discs/01_a_1.png.png',
        'worst/nearest/01_a_1.png.png',
    ]
    assert all(cv2.imread(str(path)).shape[1] > 3 * 320 for path in paths)


def test_a_picture_shows_truth_and_result(methods, images):
    truth = images[0]
    result = methods['discs'](
        truth.image_rgb, points_xy=truth.points_xy, labels=truth.labels, num_classes=2
    )
    first = draw_result(truth, result, num_classes=2, title='x')
    truth.object_points[:] = -1  # no object has a point: no true mask is drawn
    second = draw_result(truth, result, num_classes=2, title='x')
    assert first.shape == second.shape and (first != second).any()
    half = first.shape[0] // 2
    np.testing.assert_array_equal(first[half + 8 :], second[half + 8 :])
