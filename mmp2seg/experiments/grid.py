"""A grid of settings: every listed config with every combination of values.

A numeric sweep needs no config files: ``--grid KEY=V1,V2,...`` makes one variant of a config per
value. Several axes make their product. Keys joined by ``+`` take the same value, for a setting that
is in two places.
"""

import copy
import itertools
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from mmengine.config import Config, DictAction

from mmp2seg.apis.arguments import CommandError
from mmp2seg.experiments.stage1_configs import TRAINING_KEYS

# Settings that a run reads besides TRAINING_KEYS. Other top-level names, such as `train_pipeline`,
# are helpers that the config file has used already.
_TEST_KEYS = re.compile('(val|test)_(cfg|dataloader|evaluator)')


@dataclass(frozen=True)
class GridAxis:
    """The values of one setting.

    Attributes:
        keys: dotted places in the config that all take the same value.
        values: the values, in the order of the table.
    """

    keys: tuple[str, ...]
    values: tuple[object, ...]


def parse_axis(text: str) -> GridAxis:
    """Parse ``KEY=V1,V2,...`` or ``KEY1+KEY2=V1,V2,...``; values follow the rules of --cfg-options.

    A comma inside of brackets does not separate values: ``k=[1,2],[3,4]`` has two. A repeated value
    counts once.

    Raises:
        CommandError: the text has another form.
    """
    left, equals, right = text.partition('=')
    keys = left.split('+')
    if not equals or not all(re.fullmatch(r'[^\s.]+(\.[^\s.]+)*', key) for key in keys):
        raise CommandError(f'--grid: expected KEY=VALUE,VALUE,..., got {text}')
    try:
        values = DictAction._parse_iterable(f'[{right}]')
    except AssertionError as error:  # its answer to brackets without a counterpart
        raise CommandError(f'--grid: {text}: {error}') from error
    if not values or '' in values or right.endswith(','):
        raise CommandError(f'--grid: {text}: expected values separated by commas')
    unique = {repr(value): value for value in values}
    return GridAxis(tuple(dict.fromkeys(keys)), tuple(unique.values()))


def expand_grid(configs: Mapping[str, Config], axes: Sequence[GridAxis]) -> dict[str, Config]:
    """Return every config with every combination of the values; without axes, the configs.

    A variant is named ``config[setting=value,setting=value]``. A setting is written as the shortest
    end of its dotted key that no other setting of these configs has.

    Args:
        configs: by name, in the order of the table.
        axes: axes of the grid; the last one varies fastest.

    Returns:
        dict: the variants by name, config by config.

    Raises:
        CommandError: a config lacks the setting, or two axes name the same one.
    """
    if not axes:
        return dict(configs)
    keys = [key for axis in axes for key in axis.keys]
    for key in keys:
        if keys.count(key) > 1:
            raise CommandError(f'--grid: {key} is given twice')
        for name, cfg in configs.items():
            _require_setting(cfg, key, name)
    settings = {place for cfg in configs.values() for place in _settings(cfg)} | set(keys)
    labels = [_label(axis.keys, settings) for axis in axes]
    variants = {}
    for name, cfg in configs.items():
        for values in itertools.product(*(axis.values for axis in axes)):
            variant = copy.deepcopy(cfg)
            for axis, value in zip(axes, values):
                variant.merge_from_dict(dict.fromkeys(axis.keys, value))
            setting = ','.join(f'{label}={value}' for label, value in zip(labels, values))
            variants[f'{name}[{setting}]'.replace(' ', '')] = variant
    return variants


def _require_setting(cfg: Config, key: str, name: str) -> None:
    """Check that a run would read a value at ``key``; the last part of the key may be new.

    Raises:
        CommandError: names the key, the config and the part that is missing.
    """
    parts = key.split('.')
    first, last = parts[0], parts[-1]
    node, place = cfg._cfg_dict, []
    if not _has(node, first) and not _is_read(first):
        _raise_unknown(key, name, node, place, first)
    for part in parts[:-1]:
        if not _has(node, part):
            _raise_unknown(key, name, node, place, part)
        node = node[int(part)] if isinstance(node, (list, tuple)) else node[part]
        place.append(part)
    # a new entry of a dict sets an argument that the config leaves at its default
    if not isinstance(node, Mapping) and not _has(node, last):
        _raise_unknown(key, name, node, place, last)


def _has(node: object, part: str) -> bool:
    if isinstance(node, (list, tuple)):
        return part.isdecimal() and int(part) < len(node)
    return isinstance(node, Mapping) and part in node


def _raise_unknown(key: str, name: str, node: object, place: Sequence[str], part: str) -> None:
    where = '.'.join(place) or 'the config'
    what = f'has {len(node)} entries' if isinstance(node, (list, tuple)) else f'has no {part!r}'
    raise CommandError(f'--grid: {key}: no such setting in {name}: {where} {what}')


def _settings(cfg: Config) -> Iterator[str]:
    """Return the dotted places of all values that a run reads."""
    for key, value in cfg._cfg_dict.items():
        if _is_read(key):
            yield from _leaves(value, key)


def _is_read(key: str) -> bool:
    """Return whether a run reads the top-level setting ``key``."""
    return key in TRAINING_KEYS or _TEST_KEYS.fullmatch(key) is not None


def _leaves(node: object, place: str) -> Iterator[str]:
    yield place
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from _leaves(value, f'{place}.{key}')
    elif isinstance(node, (list, tuple)):
        for index, value in enumerate(node):
            yield from _leaves(value, f'{place}.{index}')


def _label(keys: Sequence[str], settings: Collection[str]) -> str:
    """Name keys that take the same value, by the shortest ends that no other setting has."""
    return '+'.join(dict.fromkeys(_shortest_end(key, keys, settings) for key in keys))


def _shortest_end(key: str, keys: Collection[str], settings: Collection[str]) -> str:
    parts = key.split('.')
    ends = ('.'.join(parts[start:]) for start in reversed(range(len(parts))))
    for end in ends:
        same = {place for place in settings if f'.{place}'.endswith(f'.{end}')}
        if same <= set(keys):
            return end
    return key
