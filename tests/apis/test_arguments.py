import os
import sys

import pytest

from mmp2seg.apis.arguments import CommandError, command_parser, parse_command, run_command


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
