import argparse
import os
import sys

import pytest

from mmp2seg.apis.arguments import (
    FILE_ERRORS,
    CommandError,
    at_least,
    command_parser,
    make_parser,
    parse_command,
    run_command,
    share,
)


@pytest.fixture(autouse=True)
def own_environment(monkeypatch):
    monkeypatch.setattr(os, 'environ', {k: v for k, v in os.environ.items() if k != 'LOCAL_RANK'})


def test_defaults():
    args = parse_command(command_parser('d'), ['cfg.py'])
    assert (args.config, args.launcher, args.device) == ('cfg.py', 'none', 'auto')
    assert args.work_dir is None
    assert args.cfg_options is None


def test_cfg_options_become_a_dict_of_values():
    args = parse_command(
        command_parser('d'), ['cfg.py', '--cfg-options', 'a.b=2', 'c="[1,2]"', 'd=text']
    )
    assert args.cfg_options == {'a.b': 2, 'c': [1, 2], 'd': 'text'}


@pytest.mark.parametrize('option', ['--local_rank=3', '--local-rank=3'])
def test_local_rank_reaches_the_environment(option):
    parse_command(command_parser('d'), ['cfg.py', option])
    assert os.environ['LOCAL_RANK'] == '3'


def test_the_launchers_local_rank_is_kept():
    os.environ['LOCAL_RANK'] = '1'
    parse_command(command_parser('d'), ['cfg.py', '--local_rank', '3'])
    assert os.environ['LOCAL_RANK'] == '1'


def test_unknown_launcher_is_refused(capsys):
    with pytest.raises(SystemExit):
        parse_command(command_parser('d'), ['cfg.py', '--launcher', 'pigeon'])
    assert 'pigeon' in capsys.readouterr().err


def test_run_command_hands_over_the_arguments(monkeypatch):
    monkeypatch.setattr(sys, 'argv', ['tools/x.py', 'a', '--b'])
    got = []
    run_command(got.append)
    assert got == [['a', '--b']]


def test_run_command_turns_a_users_mistake_into_one_line(monkeypatch):
    monkeypatch.setattr(sys, 'argv', ['tools/x.py'])

    def main(argv):
        raise CommandError('no such thing: y')

    with pytest.raises(SystemExit) as info:
        run_command(main)
    assert info.value.code == 'x.py: error: no such thing: y'


def test_run_command_leaves_other_errors_alone(monkeypatch):
    monkeypatch.setattr(sys, 'argv', ['tools/x.py'])

    def main(argv):
        raise ValueError('a bug')

    with pytest.raises(ValueError, match='a bug'):
        run_command(main)
    with pytest.raises(SystemExit, match='x.py: error: a bug'):
        run_command(main, mistakes=FILE_ERRORS)


@pytest.mark.parametrize(('status', 'code'), [(None, 0), (0, 0), (1, 1), (130, 130)])
def test_run_command_exits_with_the_status_of_main(status, code):
    try:
        run_command(lambda argv: status)
    except SystemExit as end:
        assert end.code == code
    else:
        assert code == 0


def test_run_command_with_another_status_for_mistakes(monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', ['tools/x.py'])

    def main(argv):
        raise CommandError('no such thing')

    with pytest.raises(SystemExit) as info:
        run_command(main, error_status=2)
    assert info.value.code == 2
    assert capsys.readouterr().err == 'x.py: error: no such thing\n'


@pytest.mark.parametrize('error', [CommandError('oh no'), RuntimeError('a bug')])
@pytest.mark.parametrize('stream', ['stdout', 'stderr'])
def test_an_error_starts_on_a_new_line(capsys, stream, error):
    def main(argv):
        print('[>>   ] 1/2', end='', file=getattr(sys, stream))
        raise error

    before = sys.stdout, sys.stderr
    with pytest.raises((SystemExit, RuntimeError)):
        run_command(main)
    assert getattr(capsys.readouterr(), stream[3:]) == '[>>   ] 1/2\n'
    assert (sys.stdout, sys.stderr) == before


def test_finished_lines_get_no_empty_line(capsys):
    def main(argv):
        print('done')
        raise CommandError('oh no')

    with pytest.raises(SystemExit):
        run_command(main)
    assert capsys.readouterr().out == 'done\n'


def test_the_description_keeps_its_lines():
    assert 'One.\n\nTwo:\n    three\n' in make_parser('One.\n\nTwo:\n    three\n').format_help()


def test_at_least(capsys):
    parser = make_parser(None)
    parser.add_argument('--count', type=at_least(1))
    assert parser.parse_args(['--count', '1']).count == 1
    for text, message in (('0', 'expected at least 1, got 0'), ('x', "invalid int value: 'x'")):
        with pytest.raises(SystemExit):
            parser.parse_args(['--count', text])
        assert f'argument --count: {message}' in capsys.readouterr().err


def test_share(capsys):
    parser = argparse.ArgumentParser()
    parser.add_argument('--part', type=share)
    assert [parser.parse_args(['--part', text]).part for text in ('0', '.25', '1')] == [0, 0.25, 1]
    for text in ('1.01', '-1', 'nan', 'all'):
        with pytest.raises(SystemExit):
            parser.parse_args(['--part', text])
    assert 'expected a number from 0 to 1, got 1.01' in capsys.readouterr().err
