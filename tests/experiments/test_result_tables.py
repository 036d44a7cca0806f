from pathlib import Path

import pytest

from mmp2seg.evaluation.functional.pseudo_masks import summarize_ious
from mmp2seg.experiments.result_tables import (
    COLUMNS,
    MAP_COLUMNS,
    collect_results,
    make_difference_table,
    make_table,
    summarize,
    with_shares,
)
from mmp2seg.experiments.stage1_run import Stage1Run, Variant


def figures(mean_iou, *, touching=0.5, over50=10):
    counts = dict(num_objects=20, num_iou50=over50, num_iou70=5, num_iou90=1)
    return with_shares(
        dict(mean_iou=mean_iou, mean_iou_touching=touching, found_touching_iou50=0.25, **counts)
    )


def cells_of(table):
    """The rows of a Markdown table by their first cell."""
    rows = [[cell.strip() for cell in line.strip('|').split('|')] for line in table.splitlines()]
    return {row[0]: row[1:] for row in rows}


RESULTS = {
    'a': {1: figures(0.50), 2: figures(0.60)},
    'b': {1: figures(0.52, touching=None), 2: figures(0.62, over50=12)},
    'c': {2: figures(0.5)},
    'd': {1: None},
}


def test_shares_by_hand():
    assert with_shares(dict(num_objects=8, num_iou50=6, num_iou70=4, num_iou90=1)) == dict(
        num_objects=8,
        num_iou50=6,
        num_iou70=4,
        num_iou90=1,
        share_iou50=0.75,
        share_iou70=0.5,
        share_iou90=0.125,
    )
    nothing = dict(num_objects=0, num_iou50=0, num_iou70=0, num_iou90=0)
    assert with_shares(nothing)['share_iou50'] is None


def test_every_column_is_in_what_is_measured():
    assert set(COLUMNS.values()) <= set(with_shares(summarize_ious([0.6], [True])))


def test_table_has_means_with_spread():
    rows = cells_of(make_table(RESULTS))
    assert rows['config'] == ['seeds', *COLUMNS]
    assert rows['a'] == [
        '2',
        '55.0 ± 7.1',
        '50.0 ± 0.0',
        '25.0 ± 0.0',
        '50.0 ± 0.0',
        '25.0 ± 0.0',
        '5.0 ± 0.0',
    ]
    assert rows['b'][2] == '50.0'  # the mean of the one seed with touching objects
    assert rows['c'][:2] == ['1', '50.0']
    assert rows['d'] == ['0', *'------']


def test_differences_of_rows_that_measure_different_columns():
    columns = dict(AP='AP', mAP50='mAP50')
    results = {'coco': {1: dict(AP=0.5)}, 'voc': {1: dict(AP=0.4, mAP50=0.7)}}
    rows = cells_of(make_difference_table(results, columns=columns))
    assert rows['voc'] == ['1', '-10.0', '-']


def test_differences_are_taken_seed_by_seed():
    rows = cells_of(make_difference_table(RESULTS))
    assert rows['minus a'] == ['seeds', *COLUMNS]
    assert rows['b'][:2] == ['2', '+2.0 ± 0.0']
    assert rows['b'][2] == '+0.0'
    assert rows['b'][4] == '+5.0 ± 7.1'
    assert rows['c'][:2] == ['1', '-10.0']  # against seed 2 of 'a'
    assert rows['d'] == ['0', *'------']


def test_no_differences_without_a_second_config():
    assert make_difference_table({'a': RESULTS['a']}) is None
    assert make_difference_table({'d': {}, 'a': RESULTS['a']}) is None


def test_summary_holds_every_value():
    summary = summarize(RESULTS)
    assert summary['a']['mean']['mean_iou'] == pytest.approx(0.55)
    assert summary['a']['standard_deviation']['mean_iou'] == pytest.approx(0.0707, abs=1e-4)
    assert summary['b']['seeds']['2'] == RESULTS['b'][2]
    assert summary['d']['mean']['mean_iou'] is None and summary['d']['seeds'] == {'1': None}


def test_results_are_in_the_order_asked_for(tmp_path):
    variants = [Variant(name, Path(f'{name}.py'), Path('truth.json')) for name in 'abc']
    runs = [
        Stage1Run(Path('x.py'), tuple(variants[:2]), tmp_path / 'x', 1, Path('tools')),
        Stage1Run(Path('y.py'), tuple(variants[2:]), tmp_path / 'y', 1, Path('tools')),
    ]
    path = runs[0].figures_file(variants[1])
    path.parent.mkdir(parents=True)
    path.write_text('{"num_objects": 2, "num_iou50": 1, "num_iou70": 1, "num_iou90": 0}')
    results = collect_results(runs, ['c', 'b', 'a'])
    assert list(results) == ['c', 'b', 'a']
    assert results['b'][1]['share_iou50'] == 0.5
    assert results['a'] == results['c'] == {1: None}


def test_a_summary_of_other_columns():
    results = {'a': {1: {'miou': 0.5, 'mean_iou': 0.25}}}
    summary = summarize(results, MAP_COLUMNS)
    assert list(summary['a']['mean']) == list(MAP_COLUMNS.values())
    assert summary['a']['mean']['miou'] == 0.5
    assert summary['a']['mean']['mean_iou_small'] is None
