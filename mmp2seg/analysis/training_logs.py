"""Read the scalars that mmengine logs: losses of training, metrics of validation and test."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mmp2seg.files.json_reading import read_json
from mmp2seg.files.text_reading import read_text

# Scalars about the machine or the place in the training, not about the result.
_NOT_CURVES = {'step', 'iter', 'epoch', 'time', 'data_time', 'memory', 'base_lr', 'base_momentum'}


@dataclass
class TrainingLog:
    """Scalars of a work dir.

    Attributes:
        name: name of the work dir.
        curves: per scalar its steps, in ascending order, and its values. Steps are iterations,
            or epochs for the metrics of an epoch-based training.
        tests: per test, in the order of time, its metrics.
        unread: files of tests that cannot be read, with the reason; a killed run leaves them.
    """

    name: str
    curves: dict[str, tuple[list[int], list[float]]] = field(default_factory=dict)
    tests: list[dict[str, float]] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)

    @property
    def losses(self) -> list[str]:
        """Names of the losses: the total first, then its parts in the order of the log."""
        names = [name for name in self.curves if is_loss(name)]
        return sorted(names, key=lambda name: name != 'loss')

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics, which mmengine writes as ``dataset/metric``."""
        return [name for name in self.curves if '/' in name and not is_loss(name)]


def is_loss(name: str) -> bool:
    """Return whether a scalar is a loss, by the rule of mmengine: its name contains 'loss'."""
    return 'loss' in name.rsplit('/', 1)[-1]


def read_training_log(work_dir: str | Path) -> TrainingLog:
    """Read the logs of all runs in a work dir as one.

    A run that was interrupted and resumed has several logs. A later log replaces the earlier ones
    from its first step on, so a training that was started anew replaces the earlier one.

    Args:
        work_dir: folder with ``<start time>/vis_data/scalars.json``, and
            ``<start time>/<start time>.json`` of tests.

    Returns:
        TrainingLog: empty if there are no logs.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: a log is broken before its last line; the message names file and line.
    """
    work_dir = Path(work_dir)
    if not work_dir.is_dir():
        raise FileNotFoundError(f'{work_dir}: no such folder')
    log = TrainingLog(work_dir.resolve().name)
    points: dict[str, dict[int, float]] = {}
    for path in sorted(work_dir.glob('*/vis_data/scalars.json')):
        entries = [entry for entry in _read_lines(path) if isinstance(entry.get('step'), int)]
        # a validation alone has no loss and replaces nothing
        begin = min((entry['step'] for entry in entries if 'loss' in entry), default=None)
        if begin is not None:
            _forget(points, begin)
        for entry in entries:
            for name, value in _numbers(entry).items():
                points.setdefault(name, {})[entry['step']] = value
    for name, curve in points.items():
        if curve:
            steps = sorted(curve)
            log.curves[name] = steps, [curve[step] for step in steps]
    for path in sorted(work_dir.glob('*/*.json')):
        if path.stem == path.parent.name:
            try:
                content = read_json(path)
            except ValueError as error:  # mmengine does not write it atomically
                log.unread.append(str(error))
                continue
            if isinstance(content, dict):
                log.tests.append(_numbers(content))
    return log


def summarize_metrics(log: TrainingLog) -> list[tuple[str, float, float, int]]:
    """Return per metric of the validation its name, last value, largest value and the step of it.

    nan is neither last nor largest unless all values are nan.
    """
    rows = []
    for name in log.metrics:
        pairs = list(zip(*log.curves[name], strict=True))
        known = [pair for pair in pairs if pair[1] == pair[1]] or pairs
        step, best = max(known, key=lambda pair: pair[1])
        rows.append((name, known[-1][1], best, step))
    return rows


def _forget(points: dict[str, dict[int, float]], begin: int) -> None:
    """Remove what a training that begins at a step computes again."""
    if begin <= min(points.get('loss', {}), default=begin):
        points.clear()  # also metrics whose steps are epochs
    for curve in points.values():
        for step in [step for step in curve if step >= begin]:
            del curve[step]


def _read_lines(path: Path) -> list[dict]:
    """Parse a file with a json object per line; the last line may be cut off."""
    lines = [line for line in read_text(path).splitlines() if line.strip()]
    entries = []
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError) as error:  # also numbers of 5000 digits, deep nesting
            if number == len(lines):
                break  # the run was killed while it wrote
            reason = error.msg if isinstance(error, json.JSONDecodeError) else error
            raise ValueError(f'{path}: line {number}: invalid json: {reason}') from error
        if not isinstance(entry, dict):
            raise ValueError(f'{path}: line {number}: expected an object, got {line!r:.60}')
        entries.append(entry)
    return entries


def _numbers(entry: Mapping[str, object]) -> dict[str, float]:
    """Return the scalars of an entry that are worth a curve."""
    return {
        str(name): float(value)
        for name, value in entry.items()
        if name not in _NOT_CURVES
        and isinstance(value, int | float)
        and not isinstance(value, bool)
    }


def distinct_names(paths: Sequence[str | Path]) -> list[str]:
    """Return the shortest ends of paths by which they differ: ``a/x b/x`` -> ``a/x b/x``."""
    parts = [Path(path).resolve().parts for path in paths]
    for length in range(1, max(map(len, parts), default=0) + 1):
        names = ['/'.join(part[-length:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in paths]
