from types import SimpleNamespace

import numpy as np
import pytest

from mmp2seg.evaluation.functional.instance_tables import (
    class_table,
    found_figures,
    missing_adjacent_table,
    percent,
    row_table,
    threshold_name,
    voc_figures,
)


@pytest.mark.parametrize(
    ('iou', 'name'), [(0.25, '25'), (0.5, '50'), (0.7, '70'), (0.725, '72.5'), (1, '100')]
)
def test_names(iou, name):
    assert threshold_name(iou) == name


def test_percent():
    assert percent(0.123456) == 12.35
    assert np.isnan(percent(np.nan))


APS = np.array([[0.5, 0.25], [np.nan, np.nan]])


def cells_of(table):
    lines = [line for line in table.splitlines() if '|' in line]
    return [[cell.strip() for cell in line.strip('|').split('|')] for line in lines]


def test_voc_figures():
    assert voc_figures(APS, [0.5, 0.7]) == {'mAP50': 50, 'mAP70': 25}
    figures = voc_figures(APS, [0.5, 0.7], ['cat', 'dog'])
    assert list(figures) == ['mAP50', 'mAP70', 'AP50/cat', 'AP50/dog', 'AP70/cat', 'AP70/dog']
    assert figures['AP70/cat'] == 25 and np.isnan(figures['AP50/dog'])


def test_class_table():
    mean = ['mean', '50.00', '25.00']
    assert cells_of(class_table(APS, [0.5, 0.7], ['cat', 'dog'])) == [
        ['category', 'AP50', 'AP70'],
        ['cat', '50.00', '25.00'],
        ['dog', '-', '-'],
        mean,
    ]
    assert cells_of(class_table(APS, [0.5, 0.7])) == [['category', 'AP50', 'AP70'], mean]


def test_row_table():
    assert cells_of(row_table({'AP': 0.5, 'AP75': np.nan})) == [['AP', 'AP75'], ['50.00', '-']]


def test_found_figures():
    figures = {'missing_rate_iou50': 0.123456, 'num_objects': 3}
    assert found_figures(figures) == {'missing_rate_iou50': 12.35, 'num_objects': 3}


def test_table_8_says_whose_definition_it_is():
    figures = {
        'missing_rate_iou50': 0.25,
        'adjacent_rate_iou50': np.nan,
        'num_objects': 8,
        'num_missing_iou50': 2,
        'num_adjacent': 0,
        'num_adjacent_found_iou50': 0,
    }
    text = missing_adjacent_table(figures, SimpleNamespace(gap=3, void_dir=None))
    assert '25.00' in text and '2 of 8' in text and '0 of 0' in text
    assert 'the definition is ours' in text and 'most 3 px away;' in text
    text = missing_adjacent_table(figures, SimpleNamespace(gap=3, void_dir='x'))
    assert 'across the void band' in text
