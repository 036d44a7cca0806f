import argparse
import os
import signal

import pytest

from mmp2seg.apis.arguments import CommandError
from mmp2seg.experiments.arguments import (
    add_kept_masks_arguments,
    add_photograph_arguments,
    add_run_arguments,
    check_photograph_arguments,
    listed_configs,
    parse_run_arguments,
    run_until_interrupted,
    threads_per_job,
)
from mmp2seg.experiments.commands import RunError
from mmp2seg.files.folder_lock import folder_lock


def parse(*arguments):
    parser = argparse.ArgumentParser()
    add_run_arguments(parser)
    return parse_run_arguments(parser, ['--work-dir', 'x', *arguments])


def test_a_seed_counts_once_and_the_work_dir_is_absolute():
    args = parse('--seeds', '2', '1', '2')
    assert args.seeds == [2, 1] and args.work_dir.is_absolute()
    assert parse().seeds == [1, 2, 3]


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--shapes', '--truth', 't.json'], '--truth'),
        (['--jobs', '0'], '--jobs: expected at'),
        (['--work-dir', 'a,b'], '--work-dir: a comma'),
    ],
)
def test_arguments_that_do_not_fit(capsys, arguments, message):
    with pytest.raises(SystemExit):
        parse(*arguments)
    assert message in capsys.readouterr().err


def test_a_list_of_configs(tmp_path):
    listing = tmp_path / 'list.txt'
    listing.write_text('# first\n\na.py  # second\nb/c.py\n')
    assert [str(path) for path in listed_configs(listing)] == ['a.py', 'b/c.py']
    with pytest.raises(CommandError, match=r'--list: .*gone\.txt: there is no such file'):
        listed_configs(tmp_path / 'gone.txt')
    listing.write_bytes('thé.py\n'.encode('latin-1'))
    with pytest.raises(CommandError, match=r'--list: .*list\.txt: expected text in UTF-8'):
        listed_configs(listing)


def test_cores_are_shared_out(monkeypatch):
    monkeypatch.setattr(os, 'sched_getaffinity', lambda _: set(range(8)), raising=False)
    assert [threads_per_job(number) for number in (1, 3, 16)] == [8, 2, 1]


@pytest.fixture
def _signals():
    """Restores the signal handlers of this process."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures('_signals')
def test_unfinished_runs(tmp_path, capsys):
    def killed(args):
        os.kill(os.getpid(), signal.SIGTERM)

    def failed(args):
        raise RunError('exit status 1 of: x')

    args = argparse.Namespace(work_dir=tmp_path, status=3)
    assert run_until_interrupted(lambda args: args.status, args) == 3
    assert run_until_interrupted(killed, args) == 130
    assert 'The same command continues from here.' in capsys.readouterr().err
    with pytest.raises(CommandError, match='exit status 1 of: x'):
        run_until_interrupted(failed, args)


@pytest.mark.usefixtures('_signals')
def test_a_work_dir_in_use_is_an_error(tmp_path):
    args = argparse.Namespace(work_dir=tmp_path)
    with (
        folder_lock(tmp_path),
        pytest.raises(CommandError, match='another command is at work in this folder'),
    ):
        run_until_interrupted(lambda args: pytest.fail('it ran'), args)


def parse_photographs(*arguments):
    parser = argparse.ArgumentParser()
    add_run_arguments(parser)
    parser.add_argument('--refine')
    add_photograph_arguments(parser)
    args = parse_run_arguments(parser, ['--work-dir', 'x', *arguments])
    check_photograph_arguments(parser, args)
    return args


def test_defaults_of_photographs():
    args = parse_photographs('--photographs', 't.json', 'images')
    assert args.maps == 'degraded' and args.long_side == 352 and args.min_area == 0
    assert parse_photographs().photographs is None


PAIR = ['--photographs', 't.json', 'images']


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (PAIR[:2], '--photographs: expected pairs TRUTH.json IMAGES, got 1 arguments'),
        (['--min-area', '5'], '--min-area: expected --photographs'),
        (['--maps', 'points'], '--maps: expected --photographs'),
        ([*PAIR, '--shapes'], '--photographs: expected no --shapes'),
        ([*PAIR, '--truth', 'x.json'], '--photographs: expected no --truth'),
        ([*PAIR, '--refine', 'x.py'], 'expected --refine and --test-photographs together'),
        ([*PAIR, '--test-photographs', *PAIR[1:]], 'expected --refine and --test-photographs'),
        (
            [*PAIR, '--refine', 'x.py', '--test-photographs', 't.json'],
            '--test-photographs: expected pairs TRUTH.json IMAGES, got 1 arguments',
        ),
        ([*PAIR, '--segmenter', 'x.py'], '--segmenter: expected --maps points'),
        ([*PAIR, '--strength', '-1'], '--strength: expected at least 0, got -1.0'),
        ([*PAIR, '--maps', 'points', '--strength', '1'], '--strength: expected --maps degraded'),
    ],
)
def test_arguments_of_photographs_that_do_not_fit(capsys, arguments, message):
    with pytest.raises(SystemExit):
        parse_photographs(*arguments)
    assert message in capsys.readouterr().err


def test_true_masks_of_some_objects():
    parser = argparse.ArgumentParser()
    add_kept_masks_arguments(parser)
    args = parser.parse_args(['--keep-masks', '0', '.05', '1', '--keep-by', 'image'])
    assert (args.keep_masks, args.keep_by) == ([0, 0.05, 1], 'image')
    with pytest.raises(SystemExit):
        parser.parse_args(['--keep-masks', '5'])
