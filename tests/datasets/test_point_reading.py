import math

import numpy as np
import pytest

from mmp2seg.datasets.point_reading import (
    check_point_source,
    number_pair,
    parse_point,
    read_annotation_point,
    read_background_points,
)

ANNOTATION = dict(point=[4.5, 2], bbox=[1, 2, 4, 7], keypoints=[9, 9, 0, 5, 6, 2, 7, 7, 1])


@pytest.mark.parametrize(
    ('source', 'expected'), [('point', [4.5, 2]), ('bbox', [3, 5.5]), ('keypoints', [5.5, 6.5])]
)
def test_each_source(source, expected):
    check_point_source(source)
    point = read_annotation_point(ANNOTATION, point_source=source, where='a')
    assert point == expected
    assert all(isinstance(number, float) for number in point)


@pytest.mark.parametrize(
    ('source', 'annotation', 'message'),
    [
        ('point', {}, 'expected a point of two finite numbers x y, got None'),
        ('point', dict(point='12'), 'expected a point of two finite numbers'),
        ('point', dict(point={'1': 0, '2': 0}), 'expected a point of two finite numbers'),
        ('point', dict(point=[1, 2, 3]), 'expected a point of two finite numbers'),
        ('point', dict(point=[1, float('nan')]), 'expected a point of two finite numbers'),
        ('bbox', {}, "expected a 'bbox' of four numbers, got None"),
        ('bbox', dict(bbox=[1, 2, 3]), r"expected a 'bbox' of four numbers, got \[1, 2, 3\]"),
        ('bbox', dict(bbox=['a', 2, 3, 4]), "expected a 'bbox' of four numbers"),
        ('bbox', dict(bbox=[float('inf'), 2, 3, 4]), 'expected a point of two finite numbers'),
        ('keypoints', {}, "expected 'keypoints' with a labelled one, got None"),
        ('keypoints', dict(keypoints=[1, 1, 0]), "expected 'keypoints' with a labelled one"),
        ('keypoints', dict(keypoints=[1, 1]), "expected 'keypoints' with a labelled one"),
        ('bbox', dict(bbox='1234'), "expected a 'bbox' of four numbers"),
        ('keypoints', dict(keypoints=['a']), "expected 'keypoints' with a labelled one"),
    ],
)
def test_what_is_no_point_is_named(source, annotation, message):
    with pytest.raises(ValueError, match=f'^a.json: annotation 3: {message}'):
        read_annotation_point(annotation, point_source=source, where='a.json: annotation 3')


def test_unknown_sources_are_named():
    with pytest.raises(ValueError, match=r"\('point', 'bbox', 'keypoints'\), got 'mask'"):
        check_point_source('mask')


def test_parse_point():
    assert parse_point([1.5, -2], where='here') == [1.5, -2.0]
    assert parse_point(['1.5', '2'], where='here', text=True) == [1.5, 2.0]
    for values in (
        ['1.5', '2'],
        [True, 2],
        None,
        '12',
        {1: 0, 2: 0},
        [],
        [1],
        [1, 2, 3],
        ['x', 1],
        [float('inf'), 0],
        [10**400, 1],
    ):
        with pytest.raises(ValueError, match='here: expected a point of two finite numbers'):
            parse_point(values, where='here')


@pytest.mark.parametrize('values', [[1e300, 1], [0, -2e6]])
def test_a_point_far_away_means_a_broken_file(values):
    with pytest.raises(ValueError, match='here: expected a point within 1000000 pixels, got'):
        parse_point(values, where='here')


@pytest.mark.parametrize(
    'values',
    ['12', {1: 0, 2: 0}, [1], [1, 2, 3], [1, None], 5, ['1', 2], [True, 2], [np.bool_(True), 2]],
)
def test_no_number_pair(values):
    with pytest.raises(ValueError, match='w: expected two numbers x, y, got'):
        number_pair(values, where='w')


def test_number_pair():
    assert number_pair([1.5, 2], where='w') == (1.5, 2.0)
    assert number_pair(np.array([1.5, 2], np.float32), where='w') == (1.5, 2.0)
    with pytest.raises(ValueError, match='w: expected two numbers x, y, got .1000'):
        number_pair([10**400, 1], where='w')
    with pytest.raises(ValueError, match="w: expected two numbers x, y, got 'a'"):
        number_pair('a', where='w')


@pytest.mark.parametrize('word', ['1.5', ' +1.5 ', '15e-1', '.15e1'])
def test_words_are_numbers_in_a_text_file(word):
    assert number_pair([word, '2.'], where='w', text=True) == (1.5, 2.0)


@pytest.mark.parametrize('word', ['1_5', '', 'x', '1,5', '0x1', '\u0661', '1 5', 1.5])
def test_words_that_are_no_numbers(word):
    with pytest.raises(ValueError, match='w: expected two numbers x, y, got'):
        number_pair([word, '2'], where='w', text=True)


def test_background_points():
    assert read_background_points({}, where='a') == []
    assert read_background_points(dict(background_points=[]), where='a') == []
    points = read_background_points(dict(background_points=[[1, 2.5], (-3, 0)]), where='a')
    assert points == [[1.0, 2.5], [-3.0, 0.0]]
    assert all(isinstance(number, float) for point in points for number in point)


@pytest.mark.parametrize(
    ('points', 'message'),
    [
        (None, r'a: expected background_points \[\[x, y\], ...\], got None'),
        ('12', 'a: expected background_points .* got .12'),
        ([1, 2], r'a: background_points\[0\]: expected a point of two finite numbers x y, got 1'),
        ([[1, 2], [1, 2, 3]], r'a: background_points\[1\]: expected a point .* got .1, 2, 3'),
        ([[1, math.inf]], r'a: background_points\[0\]: expected a point of two finite numbers'),
    ],
)
def test_malformed_background_points(points, message):
    with pytest.raises(ValueError, match=f'^{message}'):
        read_background_points(dict(background_points=points), where='a')
