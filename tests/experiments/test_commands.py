import io
import os
import signal
import sys
from pathlib import Path

import pytest

from mmp2seg.experiments.commands import (
    ProgressPrinter,
    RunError,
    cfg_options,
    children_environment,
    end_like_interrupted,
    run_logged,
    short_progress,
    tool_command,
)

TRAIN = (
    '11/22 - mmengine - INFO - Iter(train) [  50/1500]  lr: 1.0e-04  eta: 0:04:10  time: 0.5  '
    'loss: 1.2300  loss_offset: 3.2\n'
)


def test_tool_command_is_text():
    command = tool_command(Path('/t'), 'a/b.py', Path('x'), '--num', 3)
    assert command == [sys.executable, '/t/a/b.py', 'x', '--num', '3']


def test_tool_command_of_several_processes():
    command = tool_command(Path('/t'), 'b.py', 'x', processes=2)
    torchrun = ['-m', 'torch.distributed.run', '--standalone', '--nproc_per_node=2']
    assert command == [sys.executable, *torchrun, '/t/b.py', 'x', '--launcher', 'pytorch']


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


def test_the_users_environment_wins(monkeypatch):
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


def test_a_failed_command_shows_the_end_of_its_output(tmp_path, capsys):
    code = 'import sys; [print("line", i) for i in range(30)]; sys.exit(3)'
    with pytest.raises(RunError, match=r'exit status 3 of: .*\n.*/log'):
        run_logged([sys.executable, '-c', code], tmp_path / 'log', environment={})
    assert capsys.readouterr().err.split() == ' '.join(f'| line {i}' for i in range(10, 30)).split()
    assert (tmp_path / 'log').read_text().count('line') == 31  # the command itself has one


@pytest.mark.parametrize(
    ('line', 'short'),
    [
        (TRAIN, 'train [50/1500], eta 0:04:10, loss 1.2300'),
        ('Epoch(train) [2][ 5/38]  eta: 0:01:00  loss: 2', 'train [2][5/38], eta 0:01:00, loss 2'),
        ('Iter(test) [10/38]    eta: 0:00:02  time: 0.1', 'test [10/38], eta 0:00:02'),
        ('[>>>     ] 10/300, 12.3 task/s, elapsed: 1s, ETA:    24s', '10/300, eta 24s'),
        ('Checkpoints will be saved to here', None),
        ('loss: 3', None),
        ('', None),
    ],
)
def test_short_progress(line, short):
    assert short_progress(line) == short


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_terminal_has_one_line_that_is_cleared_in_the_end():
    stream = Terminal()
    printer = ProgressPrinter(stream)
    text = TRAIN.encode()
    printer.feed(text[:40])
    assert stream.getvalue() == ''  # no line is shown before it is complete
    printer.feed(text[40:] + b'other\n' + text.replace(b'50/', b'60/'))
    assert 'train [60/1500]' in stream.getvalue().split('\r')[-1]
    assert '\n' not in stream.getvalue()
    printer.close()
    assert stream.getvalue().endswith('\r\x1b[K')


def test_progress_bars_end_with_a_carriage_return():
    stream = Terminal()
    ProgressPrinter(stream).feed(b'[> ] 1/3, 1.0 task/s, elapsed: 1s, ETA: 2s\r[>')
    assert stream.getvalue().endswith('1/3, eta 2s')


def test_no_terminal_now_and_then():
    stream = io.StringIO()
    printer = ProgressPrinter(stream, interval=3600)
    printer.feed(TRAIN.encode())
    printer.close()
    assert stream.getvalue() == ''
    printer = ProgressPrinter(stream, interval=0)
    printer.feed(2 * TRAIN.encode())
    printer.close()
    assert stream.getvalue() == '      train [50/1500], eta 0:04:10, loss 1.2300\n'
