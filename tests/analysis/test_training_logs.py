import json

import pytest

from mmp2seg.analysis.training_logs import (
    distinct_names,
    read_training_log,
    summarize_metrics,
)


@pytest.fixture
def write_log(tmp_path):
    """Returns a function that writes the scalars of a run that started at a time."""

    def write(time, *entries, end='\n'):
        folder = tmp_path / 'run' / time / 'vis_data'
        folder.mkdir(parents=True)
        lines = '\n'.join(json.dumps(entry) for entry in entries)
        (folder / 'scalars.json').write_text(lines + end)
        return folder / 'scalars.json'

    return write


def train(step, loss, **others):
    return dict(lr=0.1, data_time=0.2, loss=loss, time=1.0, iter=step, step=step, **others)


def test_curves_of_losses_and_metrics(write_log, tmp_path):
    write_log(
        '1',
        train(1, 3, loss_seg=2, acc=50.0),
        train(2, 2, loss_seg=1, acc=60.0),
        {'coco/mAP': 0.5, 'time': 1.0, 'step': 2},
        {'coco/mAP': 0.4, 'coco/note': 'text', 'step': 4},
    )
    log = read_training_log(tmp_path / 'run')
    assert log.name == 'run'
    assert log.curves == {
        'lr': ([1, 2], [0.1, 0.1]),
        'loss': ([1, 2], [3, 2]),
        'loss_seg': ([1, 2], [2, 1]),
        'acc': ([1, 2], [50, 60]),
        'coco/mAP': ([2, 4], [0.5, 0.4]),
    }
    assert log.losses == ['loss', 'loss_seg']
    assert log.metrics == ['coco/mAP']
    assert summarize_metrics(log) == [('coco/mAP', 0.4, 0.5, 2)]


def test_a_resumed_run_replaces_the_steps_that_it_repeats(write_log, tmp_path):
    write_log('1', *(train(step, step) for step in (1, 2, 3)), {'coco/mAP': 0.9, 'step': 3})
    write_log('2', *(train(step, 10 * step) for step in (2, 3)))
    log = read_training_log(tmp_path / 'run')
    assert log.curves['loss'] == ([1, 2, 3], [1, 20, 30])
    assert 'coco/mAP' not in log.curves  # of weights that were trained again


def test_a_training_that_starts_anew_replaces_the_earlier_one(write_log, tmp_path):
    # the step of a metric may be an epoch
    write_log('1', train(50, 3), train(100, 2), {'coco/mAP': 0.9, 'step': 1})
    write_log('2', train(50, 7), dict(note='no step'))
    assert read_training_log(tmp_path / 'run').curves == {'lr': ([50], [0.1]), 'loss': ([50], [7])}


def test_a_run_that_only_validates_keeps_the_training(write_log, tmp_path):
    write_log('1', train(1, 5), train(2, 4))
    write_log('2', {'coco/mAP': 0.3, 'step': 0})
    log = read_training_log(tmp_path / 'run')
    assert log.curves['loss'] == ([1, 2], [5, 4])
    assert log.curves['coco/mAP'] == ([0], [0.3])


def test_tests_are_read_in_the_order_of_time(tmp_path):
    for time, value in (('20260102_0', 0.2), ('20260101_0', 0.1)):
        (tmp_path / time).mkdir()
        (tmp_path / time / f'{time}.json').write_text(json.dumps({'coco/mAP': value, 'time': 3}))
        (tmp_path / time / 'labels.json').write_text('[]')
    assert read_training_log(tmp_path).tests == [{'coco/mAP': 0.1}, {'coco/mAP': 0.2}]


def test_tests_that_were_killed_are_named(tmp_path):
    for time, text in (('1', '{"coco/mAP": 0.5}'), ('2', '{"coco/mA'), ('3', '')):
        (tmp_path / time).mkdir()
        (tmp_path / time / f'{time}.json').write_text(text)
    log = read_training_log(tmp_path)
    assert log.tests == [{'coco/mAP': 0.5}]
    assert [('2.json: invalid' in text, '3.json: invalid' in text) for text in log.unread] == [
        (True, False), (False, True)
    ]  # fmt: skip


def test_nan_is_not_the_best_value(write_log, tmp_path):
    nan = float('nan')
    write_log('1', {'a/b': nan, 'step': 1}, {'a/b': 0.25, 'step': 2}, {'a/b': nan, 'step': 3})
    assert summarize_metrics(read_training_log(tmp_path / 'run')) == [('a/b', 0.25, 0.25, 2)]


def test_a_cut_off_last_line_is_left_out_and_others_are_errors(write_log, tmp_path):
    path = write_log('1', train(1, 5), end='\n{"loss": 3, "st')
    assert read_training_log(tmp_path / 'run').curves['loss'] == ([1], [5])
    path.write_text('{"loss": \n{}\n')
    with pytest.raises(ValueError, match=r'scalars.json: line 1: invalid json'):
        read_training_log(tmp_path / 'run')
    for broken in ('[' * 99_999, f'{{"loss": {"9" * 5000}}}'):
        path.write_text(f'{broken}\n{{}}\n')
        with pytest.raises(ValueError, match=r'scalars.json: line 1: invalid json'):
            read_training_log(tmp_path / 'run')
    path.write_text('3\n{}\n')
    with pytest.raises(ValueError, match=r'scalars.json: line 1: expected an object, got .3'):
        read_training_log(tmp_path / 'run')


def test_without_logs(tmp_path):
    assert read_training_log(tmp_path).curves == {}
    with pytest.raises(FileNotFoundError, match='gone: no such folder'):
        read_training_log(tmp_path / 'gone')


def test_distinct_names(tmp_path):
    assert distinct_names(['x/a', 'x/b']) == ['a', 'b']
    assert distinct_names(['x/a', 'y/a', 'y/b']) == ['x/a', 'y/a', 'y/b']
    assert distinct_names(['same', 'same']) == ['same', 'same']
    assert distinct_names([]) == []
