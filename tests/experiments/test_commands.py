import os
import signal
import sys
from pathlib import Path

import pytest

from mmp2seg.experiments.commands import (
    cfg_options,
    children_environment,
    end_like_interrupted,
    tool_command,
)


def test_tool_command_is_text():
    command = tool_command(Path('/t'), 'a/b.py', Path('x'), '--num', 3)
    assert command == [sys.executable, '/t/a/b.py', 'x', '--num', '3']


def test_cfg_options():
    assert cfg_options({'a.b': 1, 'c': Path('d')}) == ['--cfg-options', 'a.b=1', 'c=d']
    assert cfg_options({}) == []


def test_environment_of_the_commands(monkeypatch):
    monkeypatch.delenv('OMP_WAIT_POLICY', raising=False)
    monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
    monkeypatch.setenv('PYTHONPATH', 'theirs')
    environment = children_environment(Path('/r'), OMP_NUM_THREADS='3')
    assert environment['OMP_WAIT_POLICY'] == 'PASSIVE'
    assert environment['OMP_NUM_THREADS'] == '3'
    assert environment['PYTHONPATH'] == f'/r{os.pathsep}theirs'
    assert environment['PATH'] == os.environ['PATH']


def test_the_users_environment_goes_first(monkeypatch):
    monkeypatch.setenv('OMP_WAIT_POLICY', 'ACTIVE')
    monkeypatch.setenv('OMP_NUM_THREADS', '7')
    monkeypatch.delenv('PYTHONPATH', raising=False)
    environment = children_environment(Path('/r'), OMP_NUM_THREADS='3')
    assert (environment['OMP_WAIT_POLICY'], environment['OMP_NUM_THREADS']) == ('ACTIVE', '7')
    assert environment['PYTHONPATH'] == '/r'


def test_signals_end_the_run_like_an_interrupt():
    before = signal.getsignal(signal.SIGUSR1), signal.getsignal(signal.SIGUSR2)
    try:
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        end_like_interrupted('SIGUSR1', 'SIGUSR2', 'SIGNOSUCH')
        os.kill(os.getpid(), signal.SIGUSR1)  # stays ignored
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGUSR2)
    finally:
        signal.signal(signal.SIGUSR1, before[0])
        signal.signal(signal.SIGUSR2, before[1])
