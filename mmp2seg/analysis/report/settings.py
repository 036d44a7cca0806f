"""Read the config that mmengine wrote into a work dir, without running it."""

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmp2seg.files.text_reading import read_text


def find_config(work_dir: str | Path) -> Path | None:
    """Return the newest config that a run wrote into a work dir, None if there is none."""
    work_dir = Path(work_dir)
    found = [*work_dir.glob('*.py')] or [*work_dir.glob('*/vis_data/config.py')]
    return max(found, key=lambda path: (path.stat().st_mtime, path.name), default=None)


def read_settings(path: str | Path) -> dict[str, Any]:
    """Return the settings of a config as mmengine writes it: literals, and dicts by ``dict()``.

    Nothing is executed. Other values are left out.

    Raises:
        ValueError: the file is not Python; the message names file and line.
    """
    try:
        tree = ast.parse(read_text(path))
    except SyntaxError as error:
        raise ValueError(f'{path}: line {error.lineno}: {error.msg}') from error
    except (ValueError, RecursionError, MemoryError) as error:  # of zero bytes, or too deep
        raise ValueError(f'{path}: expected the Python of a config, {error!r:.200}') from error
    settings = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            settings[node.targets[0].id] = _value(node.value)
    return {name: value for name, value in settings.items() if value is not ...}


def describe_settings(settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the settings that a reader looks for first: name and value, those that are known."""
    data = _at(settings, 'train_dataloader.dataset') or _at(settings, 'test_dataloader.dataset')
    while isinstance(data, Mapping) and 'dataset' in data:
        data = data['dataset']
    settings = {**settings, 'data': data}
    length = _at(settings, 'train_cfg.max_iters'), _at(settings, 'train_cfg.max_epochs')
    classes = _at(settings, 'data.metainfo.classes')
    rows = [
        ('model', _at(settings, 'model.type')),
        ('backbone', _at(settings, 'model.backbone.type')),
        ('classes', ', '.join(map(str, classes)) if isinstance(classes, list | tuple) else classes),
        ('data', _at(settings, 'data.type')),
        ('folder of the data', _at(settings, 'data.data_root')),
        ('annotations', _at(settings, 'data.ann_file')),
        ('batch size', _at(settings, 'train_dataloader.batch_size')),
        ('iterations', length[0]),
        ('epochs', length[1]),
        ('optimizer', _at(settings, 'optim_wrapper.optimizer.type')),
        ('learning rate', _at(settings, 'optim_wrapper.optimizer.lr')),
        ('initial weights', _at(settings, 'load_from')),
        ('seed', _at(settings, 'randomness.seed')),
    ]
    return [(name, str(value)) for name, value in rows if value not in (None, '')]


def _at(settings: Mapping[str, Any], path: str) -> Any:
    value: Any = settings
    for name in path.split('.'):
        value = value.get(name) if isinstance(value, Mapping) else None
    return None if value is ... else value


def _value(node: ast.expr) -> Any:
    """Return the value of a literal or a ``dict()``; ``...`` for anything else."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == 'dict':
        return {keyword.arg: _value(keyword.value) for keyword in node.keywords}
    if isinstance(node, ast.Dict):
        return {
            _value(key): _value(value)
            for key, value in zip(node.keys, node.values, strict=True)
            if isinstance(key, ast.Constant)
        }
    if isinstance(node, ast.List | ast.Tuple):
        return [_value(element) for element in node.elts]
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return ...
