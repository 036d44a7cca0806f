"""Run a chain of commands that can be interrupted and goes on where it stopped.

A finished phase leaves a stamp, a json that holds its commands and which run of the phase before it
they followed. A phase whose stamp fits is not run again.
"""

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmp2seg.experiments.progress import ProgressPrinter
from mmp2seg.files.atomic_write import write_json

_GRACE_SECONDS = 15
_LIBC = ctypes.CDLL(None) if sys.platform == 'linux' else None
_PR_SET_PDEATHSIG = 1  # of linux/prctl.h


@dataclass(frozen=True)
class Phase:
    """One step of the chain.

    Attributes:
        name: of its log and stamp files.
        title: what it does, for the reader.
        commands: gives the commands, one after the other; called when the phases before it have
            finished, so that it may look at what they made.
        folder: what it writes to; removed when the phase starts afresh.
        resumes: an interrupted run keeps its folder and goes on with ``--resume`` added.
    """

    name: str
    title: str
    commands: Callable[[], list[list[str]]]
    folder: Path
    resumes: bool = False


class PhaseError(Exception):
    """A command of a phase failed; the message says which and where its output is."""


def run_phases(
    phases: Sequence[Phase], state_folder: Path, *, environment: dict[str, str]
) -> dict[str, float]:
    """Run the phases that have not finished yet, in order.

    Args:
        state_folder: for ``<name>.log`` and the stamps.
        environment: of the commands.

    Returns:
        dict: seconds that each phase took, also of those that had finished before.

    Raises:
        PhaseError: a command failed, or what a phase before has made is gone.
        KeyboardInterrupt: as soon as the running command has ended, too.
    """
    state_folder.mkdir(parents=True, exist_ok=True)
    seconds, previous = {}, None
    for number, phase in enumerate(phases, start=1):
        print(f'[{number}/{len(phases)}] {phase.title}', flush=True)
        plan = {'commands': _commands(phase, state_folder), 'after': previous}
        stamp = finished_stamp(state_folder, phase.name, plan)
        if stamp is None:
            stamp = _run_phase(phase, plan, state_folder, environment)
            print(f'      done in {format_seconds(stamp["seconds"])}', flush=True)
        else:
            print(f'      finished before, in {format_seconds(stamp["seconds"])}', flush=True)
        seconds[phase.name], previous = stamp['seconds'], stamp['run']
    return seconds


def finished_stamp(state_folder: Path, name: str, plan: dict) -> dict | None:
    """The stamp of a phase that finished with this plan, None if there is none."""
    return _matching(state_folder / f'{name}.done.json', plan)


def format_seconds(seconds: float) -> str:
    """``75.2`` -> ``'1 min 15 s'``."""
    minutes, rest = divmod(round(seconds), 60)
    return f'{minutes} min {rest:02d} s' if minutes else f'{rest} s'


def _commands(phase: Phase, state_folder: Path) -> list[list[str]]:
    try:
        return phase.commands()
    except OSError as error:
        raise PhaseError(
            f'{phase.title}: expected a file of a step before: {error}; to make it again, remove '
            f"that step's .done.json in {state_folder}"
        ) from error


def _run_phase(phase: Phase, plan: dict, state_folder: Path, environment: dict) -> dict:
    """Run a phase's commands and leave its stamp; what is returned is the stamp."""
    done = state_folder / f'{phase.name}.done.json'
    started = state_folder / f'{phase.name}.started.json'
    log = state_folder / f'{phase.name}.log'
    state = _matching(started, plan) if phase.resumes else None
    resuming = state is not None
    done.unlink(missing_ok=True)
    if not resuming:
        shutil.rmtree(phase.folder, ignore_errors=True)
        log.unlink(missing_ok=True)
        state = {**plan, 'seconds': 0.0}
        write_json(started, state)
    spent, begin = state['seconds'], time.monotonic()
    try:
        for command in plan['commands']:
            command = [*command, '--resume'] if resuming else command
            run_logged(command, log, environment=environment)
    finally:
        state['seconds'] = spent + time.monotonic() - begin
        write_json(started, state)
    stamp = {**state, 'run': uuid.uuid4().hex}
    write_json(done, stamp)
    started.unlink()
    return stamp


def run_logged(command: Sequence[str], log: Path, *, environment: dict[str, str]) -> None:
    """Run a command; all of its output is added to ``log``, its progress shown in short.

    Raises:
        PhaseError: it ended with another status than 0; the end of its output is printed.
        KeyboardInterrupt: after the command, which got the signal as well, has ended.
    """
    with open(log, 'ab') as file:
        file.write(f'\n$ {" ".join(command)}\n'.encode())
        file.flush()
        begin = file.tell()
        # a session of its own: the interrupt reaches it, and its data workers, by _stop alone
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
        raise PhaseError(f'exit status {status} of: {" ".join(command)}\nAll of its output: {log}')


def _end_with_parent() -> None:
    """In a new child: have it ended when this process is killed, which then cannot stop it."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _stop(process: subprocess.Popen) -> None:
    """Interrupt a command with all of its processes, as Ctrl-C would, and see that it ends."""
    for signal_number in (signal.SIGINT, signal.SIGKILL):
        try:
            os.killpg(process.pid, signal_number)
            process.wait(_GRACE_SECONDS)
        except ProcessLookupError:
            break
        except subprocess.TimeoutExpired:
            continue
    process.wait()


def _matching(path: Path, plan: dict) -> dict | None:
    """Content of a stamp if it is of this plan."""
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict) or any(content.get(key) != plan[key] for key in plan):
        return None
    return content
