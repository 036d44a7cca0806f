"""Read a config of mmengine and change its settings, with errors that name file and line."""

import ast
import copy
import difflib
import inspect
import re
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner

from mmp2seg.files.text_reading import read_text

# Top-level settings that mmengine or mmp2seg reads, besides the arguments of the Runner.
_READ = (
    'auto_scale_lr',
    'class_head_training',
    'custom_imports',
    'methods',
    'point_segmenter',
    'runner_type',
    'tta_model',
    'tta_pipeline',
)
_SIMILAR_SECTION, _SIMILAR_SETTING = 0.6, 0.9


def read_config(path: str | Path, *, options: Mapping[str, Any] | None = None) -> Config:
    """Read a config file with its bases and apply the options of a command line.

    Args:
        path: the file.
        options: of --cfg-options, values by dotted key; see :func:`merge_options`.

    Raises:
        ValueError: the config or one of its bases is missing, cannot be parsed, or fails when it is
            executed, or an option does not fit; the message names the file and the line, or the
            option.
    """
    broken = _broken_file(Path(path).absolute(), ())  # before mmengine, which follows circles
    if broken is not None:
        raise ValueError(broken)
    try:
        cfg = Config.fromfile(str(path))
    except Exception as error:  # a config is Python code, which can raise anything
        raise ValueError(_find_cause(Path(path), error)) from error
    merge_options(cfg, options or {})
    return cfg


def merge_options(cfg: Config, options: Mapping[str, Any]) -> None:
    """Change settings of a config, as --cfg-options does.

    Args:
        cfg: changed in place.
        options: values by dotted key.

    Raises:
        ValueError: a key starts with a section that nothing reads, looks like a misspelled setting,
            or leads through a value that has no parts; the message names the option.
    """
    for key in options:
        _check_key(cfg, key)
    try:
        cfg.merge_from_dict(dict(options))
    except Exception as error:
        for key, value in options.items():  # which one is it?
            try:
                copy.deepcopy(cfg).merge_from_dict({key: value})
            except Exception as cause:
                text = cause.args[0] if cause.args else type(cause).__name__
                raise ValueError(f'--cfg-options {key}={value}: {text}') from error
        raise ValueError(f'--cfg-options: {error}') from error


def _check_key(cfg: Config, key: str) -> None:
    node: Any = cfg._cfg_dict
    first, *_ = parts = key.split('.')
    read = {*node, *_READ, *inspect.signature(Runner.__init__).parameters} - {'self'}
    if first not in read:
        close = difflib.get_close_matches(first, sorted(read), n=1, cutoff=_SIMILAR_SECTION)
        hint = f': did you mean {close[0]}?' if close else ''
        raise ValueError(f'--cfg-options {key}: no such setting{hint}')
    for part in parts:
        if not isinstance(node, Mapping):
            return
        if part not in node:
            names = [name for name in node if isinstance(name, str)]
            for name in difflib.get_close_matches(part, names, n=1, cutoff=_SIMILAR_SETTING):
                if re.sub(r'\d', '', name) != re.sub(r'\d', '', part):  # layer1, layer2
                    raise ValueError(f'--cfg-options {key}: no {part!r}: did you mean {name}?')
            return
        node = node[part]


def _find_cause(path: Path, error: Exception) -> str:
    """Return what is wrong with a config that mmengine could not read."""
    if isinstance(error, ImportError) and isinstance(error.__cause__, Exception):
        error = error.__cause__  # mmengine lists all of sys.path
    text = error.args[0] if isinstance(error, KeyError) and error.args else error
    text = f'{type(error).__name__}: {" ".join(str(text).split())}'
    for frame in reversed(traceback.extract_tb(error.__traceback__)):  # of the config's code
        if Path(frame.filename) == path.absolute() or _is_config(frame):
            return f'{frame.filename}:{frame.lineno}: {text}'
    return f'{path}: {text}'


def _is_config(frame: traceback.FrameSummary) -> bool:
    """Return whether a frame is code of a config that mmengine runs."""
    return frame.name == '<module>' and 'importlib' not in frame.filename


def _broken_file(path: Path, users: tuple[Path, ...]) -> str | None:
    """Return what keeps a config or its bases from being parsed, None if they can be."""
    if path.suffix != '.py':
        return None
    try:
        tree = ast.parse(read_text(path))
    except ValueError as error:  # not UTF-8; null bytes
        return str(error) if str(path) in str(error) else f'{path}: {error}'
    except SyntaxError as error:
        return f'{path}:{error.lineno}: {error.msg}'
    except (RecursionError, MemoryError):  # of Python's parser
        return f'{path}: expected the Python of a config, got one that is nested too deeply'
    for line, base in _bases(tree):
        if '::' in base:
            try:
                file = Path(Config._get_cfg_path(base, str(path))[0])
            except Exception as error:  # no such package
                return f'{path}:{line}: _base_ {base!r}: {error}'
        else:
            file = path.parent / base
        if not file.is_file():
            return f'{path}:{line}: _base_ {base!r}: there is no file {file.resolve()}'
        if file.resolve() in (path.resolve(), *users):
            return f'{path}:{line}: _base_ {base!r}: expected another config, got a circle'
        found = _broken_file(file.resolve(), (*users, path.resolve()))
        if found is not None:
            return found
    return None


def _bases(tree: ast.Module) -> list[tuple[int, str]]:
    """Return the bases of a config, with their lines; bases that are computed are left out."""
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == '_base_':
            nodes = getattr(statement.value, 'elts', [statement.value])
            return [
                (node.lineno, node.value)
                for node in nodes
                if isinstance(node, ast.Constant) and isinstance(node.value, str)
            ]
    return []
