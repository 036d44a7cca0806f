import argparse
import os
import subprocess
import sys

import pytest

from mmp2seg.apis.arguments import (
    FILE_ERRORS,
    CommandError,
    at_least,
    command_parser,
    make_parser,
    parse_command,
    require_outputs,
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


def exit_of(main, monkeypatch, *options, **settings):
    monkeypatch.setattr(sys, 'argv', ['tools/x.py', *options])
    with pytest.raises(SystemExit) as info:
        run_command(main, **settings)
    return info.value.code


def fails(argv):
    raise ValueError('a bug')


def test_a_bug_has_its_type_and_place_and_says_how_to_see_more(monkeypatch, capsys):
    line = fails.__code__.co_firstlineno + 1
    bug = f'x.py: error: ValueError: a bug ({__file__}:{line})\nrun with --debug for the traceback'
    assert exit_of(fails, monkeypatch) == bug
    assert capsys.readouterr().err == ''
    assert exit_of(fails, monkeypatch, mistakes=FILE_ERRORS) == 'x.py: error: a bug'

    def fails_with_log(argv):
        try:
            fails(argv)
        except ValueError as error:
            error.log_file = 'work/1.log'
            raise

    assert exit_of(fails_with_log, monkeypatch) == f'{bug}, or read work/1.log'


def test_debug_shows_the_traceback_of_any_error_here_and_in_children(monkeypatch, capsys):
    def main(argv):
        assert vars(make_parser(None).parse_args(argv)) == {}  # no tool has to know it
        fails(argv)

    code = exit_of(main, monkeypatch, '--debug', mistakes=FILE_ERRORS)
    assert code == 'x.py: error: a bug'
    assert 'Traceback (most recent call last)' in capsys.readouterr().err
    assert os.environ['MMP2SEG_DEBUG'] == '1'
    exit_of(fails, monkeypatch)
    assert 'ValueError: a bug\n' in capsys.readouterr().err
    del os.environ['MMP2SEG_DEBUG']
    exit_of(fails, monkeypatch)
    assert capsys.readouterr().err == ''


def interrupted(argv):
    raise KeyboardInterrupt


def interrupted_in_code_that_catches_all(argv):
    try:
        interrupted(argv)
    except BaseException:  # as mmengine's pretty_text does
        raise SyntaxError('failed to format the config file')  # noqa: B904


@pytest.mark.parametrize('main', [interrupted, interrupted_in_code_that_catches_all])
def test_ctrl_c_is_one_line_and_status_130(monkeypatch, capsys, main):
    try:
        assert exit_of(main, monkeypatch) == 130
    except KeyboardInterrupt:  # which would end pytest
        pytest.fail('not caught')
    assert capsys.readouterr().err == 'x.py: interrupted\n'


def test_a_reader_that_has_enough_is_no_error():
    script = (
        'from mmp2seg.apis.arguments import run_command\n'
        'run_command(lambda argv: [print(i) for i in range(100000)])\n'
    )
    process = subprocess.run(
        ['bash', '-c', f'{sys.executable} -c "$SCRIPT" | head -1'],
        env={**os.environ, 'SCRIPT': script},
        capture_output=True,
        text=True,
    )
    assert (process.stdout, process.stderr) == ('0\n', '')


@pytest.mark.parametrize('text', ['a', '=3', 'a.=3', 'a=[1,2'])
def test_an_option_that_is_no_option_is_a_usage_error(capsys, text):
    with pytest.raises(SystemExit) as info:
        command_parser('d').parse_args(['cfg.py', '--cfg-options', 'b=1', text])
    assert info.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert 'error: argument --cfg-options: ' in last and text in last


def test_outputs_are_tried_before_the_work(tmp_path):
    (tmp_path / 'file').touch()
    require_outputs(files=[tmp_path / 'new' / 'a.json', None], folders=[tmp_path / 'b', None])
    assert os.listdir(tmp_path) == ['file']
    for outputs in (
        dict(files=[tmp_path]),
        dict(files=[tmp_path / 'file' / 'a.json']),
        dict(folders=[tmp_path / 'file']),
    ):
        with pytest.raises(OSError, match='directory'):
            require_outputs(**outputs)


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
