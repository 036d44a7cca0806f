"""Methods to compare, from their names, types or a config."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from mmp2seg.registry import MODELS, TASK_UTILS
from mmp2seg.segmenters import BASELINES, PointSegmentationMethod

# Config of each baseline by its name.
BASELINE_METHODS: dict[str, dict] = {
    **{rule: dict(type='mmp2seg.PointBaseline', rule=rule) for rule in BASELINES},
    'nearest': dict(type='mmp2seg.NearestSplit'),
}


def choose_methods(
    names: Sequence[str] | None, *, configured: Mapping[str, Mapping[str, Any]]
) -> dict[str, Mapping[str, Any]]:
    """Return the configs of methods by name.

    Args:
        names: a name is a key of ``configured``, a baseline or a registered type
            (``'mmp2seg.X'``). None: all of ``configured``, or all baselines if it is empty.
        configured: configs of methods by name; they take precedence over baselines.

    Raises:
        ValueError: a name is unknown, or an entry of ``configured`` is not a config with a type.
    """
    for name, config in configured.items():
        if not isinstance(config, Mapping) or 'type' not in config:
            raise ValueError(f'methods.{name}: expected a dict with a type, got {config!r:.60}')
    known = {**BASELINE_METHODS, **configured}
    chosen: dict[str, Mapping[str, Any]] = {}
    for name in names or configured or BASELINE_METHODS:
        if name in known:
            chosen[name] = known[name]
        elif '.' in name and (TASK_UTILS.get(name) or MODELS.get(name)):
            chosen[name] = dict(type=name)
        else:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f'; did you mean {close[0]}?' if close else ''
            raise ValueError(
                f'expected a method of {tuple(known)} or a registered type such as '
                f"'mmp2seg.PointBaseline', got {name!r}{hint}"
            )
    return chosen


def build_method(config: Mapping[str, Any]) -> PointSegmentationMethod:
    """Build a method that is registered among the task utilities or the models."""
    registry = MODELS if TASK_UTILS.get(config['type']) is None else TASK_UTILS
    return registry.build(dict(config))
