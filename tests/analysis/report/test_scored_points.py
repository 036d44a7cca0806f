import pytest

from mmp2seg.analysis.report.scored_points import (
    ScoredPoint,
    best_and_worst,
    mean_or_none,
    scored_points,
)
from mmp2seg.evaluation.functional.truth_file import TruthFile


def test_iou_of_each_point(label_folder):
    truth = TruthFile(label_folder.root / 'truth.json')
    points = scored_points(label_folder.labels, truth)
    assert [point.entry['id'] for point in points] == [1, 2, 3, 4]
    # equal; a half; 20 of 24 columns; no object there
    assert [point.iou for point in points] == [1, 0.5, pytest.approx(5 / 6), None]
    assert [point.truth and point.truth['id'] for point in points] == [1, 2, 3, None]
    assert {point.iou for point in scored_points(label_folder.labels)} == {None}


def ids(points):
    return [point.entry['id'] for point in points]


def test_best_and_worst(label_folder):
    truth = TruthFile(label_folder.root / 'truth.json')
    points = scored_points(label_folder.labels, truth)
    assert [ids(part) for part in best_and_worst(points, 1)] == [[1], [2]]
    assert [ids(part) for part in best_and_worst(points, 9)] == [[1, 3], [2]]
    by_score = scored_points(label_folder.labels)
    assert [ids(part) for part in best_and_worst(by_score, 2)] == [[1, 3], [4, 2]]
    one = [ScoredPoint(dict(id=1, score=0.5))]
    assert [ids(part) for part in best_and_worst(one, 3)] == [[1], []]
    assert best_and_worst([], 3) == ([], [])


@pytest.mark.parametrize(
    ('part', 'change', 'message'),
    [
        (
            'annotations',
            dict(score='high'),
            r"annotations\[0\]: expected a finite score, got 'high'",
        ),
        ('annotations', dict(point=[1]), r'annotations\[0\]: expected a point \[x, y\], got \[1\]'),
        ('dropped_points', dict(point=[1, None]), r'dropped_points\[0\]: expected a point'),
    ],
)
def test_numbers_are_checked(label_folder, part, change, message):
    label_folder.labels[part][0].update(change)
    with pytest.raises(ValueError, match=message):
        scored_points(label_folder.labels)


def test_truth_of_other_data_is_refused(label_folder):
    label_folder.truth['categories'] = [dict(id=3, name='dog'), dict(id=5, name='x')]
    label_folder.write()
    with pytest.raises(ValueError, match="expected category 3 to be 'dog'"):
        scored_points(label_folder.labels, TruthFile(label_folder.root / 'truth.json'))


def test_mean_of_nothing():
    assert mean_or_none([]) is None
    assert mean_or_none([1, 2]) == 1.5
