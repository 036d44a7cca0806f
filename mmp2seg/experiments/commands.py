"""Run other tools as child processes: their command line, environment, log and progress."""

import ctypes
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

_GRACE_SECONDS = 15
_LIBC = ctypes.CDLL(None) if sys.platform == 'linux' else None
_PR_SET_PDEATHSIG = 1  # of linux/prctl.h

# 'Iter(train) [ 50/1500]  lr: ...  eta: 0:04:10  ...  loss: 1.23', 'Epoch(train) [1][ 5/50]  ...'
_LOOP = re.compile(r'(?:Iter|Epoch)\((\w+)\)\s*((?:\[\s*\d+\])?\[\s*\d+/\d+\])')
_VALUES = (('eta', re.compile(r'\beta: (\S+)')), ('loss', re.compile(r'\bloss: (\S+)')))
# mmengine's progress bar: '[>>>   ] 10/300, 12.3 task/s, elapsed: 1s, ETA: 24s'
_BAR = re.compile(r'(\d+/\d+), [\d.]+ task/s.*?ETA:\s*(\S+)')


class RunError(Exception):
    """A command failed, or a file that an earlier command should have made is missing."""


def tool_command(tools: Path, name: str, *arguments: object, processes: int = 1) -> list[str]:
    """Return the command that runs ``tools/<name>`` with this Python; arguments become text.

    Args:
        processes: with more than one, torchrun starts that many on this machine and chooses a free
            port; the tool must have ``--launcher``.
    """
    command = [str(tools / name), *map(str, arguments)]
    if processes == 1:
        return [sys.executable, *command]
    torchrun = '-m', 'torch.distributed.run', '--standalone', f'--nproc_per_node={processes}'
    return [sys.executable, *torchrun, *command, '--launcher', 'pytorch']


def cfg_options(options: Mapping[str, object]) -> list[str]:
    """Return ``--cfg-options KEY=VALUE ...`` for a command; an empty list without options."""
    if not options:
        return []
    return ['--cfg-options', *(f'{key}={value}' for key, value in options.items())]


def children_environment(root: Path, **values: str) -> dict[str, str]:
    """Return the environment of the commands: the environment of this process with additions.

    Args:
        root: folder of the package, for a checkout that is not installed.
        **values: defaults; variables that this process has set win.
    """
    python_path = [str(root), os.environ.get('PYTHONPATH')]
    return {
        # OpenMP threads that spin while they wait take a core away from the data workers
        'OMP_WAIT_POLICY': 'PASSIVE',
        **values,
        **os.environ,
        'PYTHONPATH': os.pathsep.join(filter(None, python_path)),
        'PYTHONUNBUFFERED': '1',
    }


def run_logged(command: Sequence[str], log: Path, *, environment: dict[str, str]) -> None:
    """Run a command, append its output to ``log`` and show a short form of its progress.

    Raises:
        RunError: the exit status is not 0; the end of the output is printed.
        KeyboardInterrupt: after the command, which got the signal as well, has ended.
    """
    with open(log, 'ab') as file:
        file.write(f'\n$ {" ".join(command)}\n'.encode())
        file.flush()
        begin = file.tell()
        # in a new session, an interrupt reaches the command and its data workers by _stop alone
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
            preexec_fn=_end_with_parent if _LIBC else None,
        )
        printer = ProgressPrinter()
        try:
            while chunk := os.read(process.stdout.fileno(), 65536):
                file.write(chunk)
                file.flush()
                printer.feed(chunk)
            status = process.wait()
        except BaseException:
            _stop(process)
            raise
        finally:
            printer.close()
            process.stdout.close()
    if status != 0:
        tail = log.read_bytes()[begin:].decode(errors='replace').splitlines()[-20:]
        print('\n'.join(f'      | {line}' for line in tail), file=sys.stderr)
        raise RunError(f'exit status {status} of: {" ".join(command)}\nAll of its output: {log}')


def end_like_interrupted(*names: str) -> None:
    """Let signals end this process as Ctrl-C does, unless they are ignored (nohup)."""
    for name in names:
        number = getattr(signal, name, None)  # Windows lacks some
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


def short_progress(line: str) -> str | None:
    """Return the short form of a line that reports progress, None for any other line."""
    loop = _LOOP.search(line)
    if loop:
        parts = [f'{loop.group(1)} {loop.group(2).replace(" ", "")}']
        found = ((name, pattern.search(line)) for name, pattern in _VALUES)
        return ', '.join(parts + [f'{name} {match.group(1)}' for name, match in found if match])
    bar = _BAR.search(line)
    return f'{bar.group(1)}, eta {bar.group(2)}' if bar else None


class ProgressPrinter:
    """Show the progress in a stream of output: on one line of a terminal, or a line at intervals.

    Args:
        stream: where to print; standard output by default.
        interval: seconds between two lines if the stream is not a terminal.
    """

    def __init__(self, stream: TextIO | None = None, *, interval: float = 20.0) -> None:
        self.stream = stream or sys.stdout
        self.interval = interval
        self._terminal = self.stream.isatty()
        self._rest = b''
        self._last = time.monotonic()
        self._shown = False

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the output."""
        *lines, self._rest = re.split(rb'[\r\n]', self._rest + chunk)
        texts = (short_progress(line.decode(errors='replace')) for line in lines)
        news = [text for text in texts if text]
        if not news:
            return
        if self._terminal:
            self.stream.write(f'\r\x1b[K      {news[-1]}')
            self._shown = True
        elif time.monotonic() - self._last >= self.interval:
            self.stream.write(f'      {news[-1]}\n')
            self._last = time.monotonic()
        self.stream.flush()

    def close(self) -> None:
        """Clear the line on a terminal."""
        if self._shown:
            self.stream.write('\r\x1b[K')
            self.stream.flush()


def _end_with_parent() -> None:
    """Let a new child end when this process is killed and cannot stop it any more."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _stop(process: subprocess.Popen) -> None:
    """Interrupt a command and its children as Ctrl-C would, and wait until it has ended."""
    for signal_number in (signal.SIGINT, signal.SIGKILL):
        try:
            os.killpg(process.pid, signal_number)
            process.wait(_GRACE_SECONDS)
        except ProcessLookupError:
            break
        except subprocess.TimeoutExpired:
            continue
    process.wait()
