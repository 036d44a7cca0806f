"""Run a sequence of phases that can be interrupted and continues where it stopped.

A finished phase leaves a stamp: a json with its commands and the run of the phase before it. A
phase whose stamp matches is not run again.
"""

import hashlib
import json
import re
import shutil
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmp2seg.experiments.commands import RunError, run_logged
from mmp2seg.files.atomic_write import write_json


@dataclass(frozen=True)
class Phase:
    """One step of a sequence.

    Attributes:
        name: stem of its log and stamp files.
        title: what the phase does, shown to the user.
        commands: returns the commands to run one after the other. It is called when the phases
            before have finished, so it may read their files.
        folder: folder of its output; removed when the phase starts from scratch.
        resumes: an interrupted run keeps its folder and continues with ``--resume`` added.
    """

    name: str
    title: str
    commands: Callable[[], list[list[str]]]
    folder: Path
    resumes: bool = False


def run_phases(
    phases: Sequence[Phase], state_folder: Path, *, environment: dict[str, str]
) -> dict[str, float]:
    """Run the phases that have not finished yet, in order.

    Args:
        state_folder: folder of ``<name>.log`` and of the stamps.
        environment: environment variables of the commands.

    Returns:
        dict: seconds of each phase by name, including phases that had finished before.

    Raises:
        RunError: a command failed, or the output of an earlier phase is missing.
        KeyboardInterrupt: after the running command has ended.
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
    """Return the stamp of a phase that finished with this plan, None if there is none."""
    return _matching(state_folder / f'{name}.done.json', plan)


def format_seconds(seconds: float) -> str:
    """``75.2`` -> ``'1 min 15 s'``."""
    minutes, rest = divmod(round(seconds), 60)
    return f'{minutes} min {rest:02d} s' if minutes else f'{rest} s'


def file_name(name: str) -> str:
    """Return a form of a variant's name for files: ``'a[beta=2.0,k=1]'`` -> ``'a__beta-2.0__k-1'``.

    The name of a config remains as it is. If any other character has to be replaced, a part of the
    name's hash follows, which tells such names apart.
    """
    config, bracket, rest = name.partition('[')
    if not bracket:
        return name
    setting, _, tail = rest.rpartition(']')
    plain = setting.replace(',', '__').replace('=', '-') + tail
    safe = re.sub(r'[^\w.+-]', '-', plain)
    digest = '' if safe == plain else f'-{hashlib.sha256(name.encode()).hexdigest()[:6]}'
    return f'{config}__{safe}{digest}'


def _commands(phase: Phase, state_folder: Path) -> list[list[str]]:
    try:
        return phase.commands()
    except OSError as error:
        raise RunError(
            f'{phase.title}: expected a file of an earlier step: {error}; to make it again, remove '
            f"that step's .done.json in {state_folder}"
        ) from error


def _run_phase(phase: Phase, plan: dict, state_folder: Path, environment: dict) -> dict:
    """Run the commands of a phase; write its stamp and return it."""
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


def _matching(path: Path, plan: dict) -> dict | None:
    """Return the content of a stamp file if it has this plan."""
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict) or any(content.get(key) != plan[key] for key in plan):
        return None
    return content
