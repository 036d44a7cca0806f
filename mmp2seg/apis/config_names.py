"""Find a config by its path, by its place in the package, or by its name in the model index."""

import difflib
from pathlib import Path

import yaml

from mmp2seg.apis.arguments import CommandError
from mmp2seg.apis.cli import PACKAGE, find_home


def resolve_config(name: str | Path) -> str:
    """Return the path of a config.

    Args:
        name: path of a file; or a config of the package, with or without ``configs/`` and ``.py``
            (``p2seg/tiny_shapes``); or its name in model-index.yml (``p2seg_tiny_shapes``).

    Raises:
        CommandError: there is no such config; the message suggests one.
    """
    if Path(name).is_file():
        return str(name)
    home = find_home(PACKAGE)
    short = Path(name).as_posix().removeprefix('configs/').removesuffix('.py')
    path = home / 'configs' / f'{short}.py'
    if path.is_file() and path.resolve().is_relative_to((home / 'configs').resolve()):
        return str(path)
    index = _model_index(home)
    if short in index:
        return str(home / index[short])
    files = [
        file.relative_to(home / 'configs').with_suffix('').as_posix()
        for file in (home / 'configs').rglob('*.py')
    ]
    close = difflib.get_close_matches(short, sorted([*files, *index]), n=1)
    hint = f'; did you mean {close[0]}?' if close else ''
    raise CommandError(
        f'config not found: {name}: expected a file, a config of the package such as '
        f'p2seg/tiny_shapes.py, or a name of model-index.yml{hint}'
    )


def _model_index(home: Path) -> dict[str, str]:
    """Return the paths of the configs by their names in the model index."""
    content = yaml.safe_load((home / 'model-index.yml').read_text(encoding='utf-8'))
    return {model['Name']: model['Config'] for model in content['Models']}
