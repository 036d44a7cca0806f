"""The console command ``mmp2seg``: doors to the tools of a checkout or an installed wheel.

Loads nothing but the standard library: the tools select a device before mmengine is imported.
"""

import argparse
import ast
import difflib
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

from mmp2seg.version import __version__

PACKAGE = Path(__file__).resolve().parents[1]
# Path of the tool below tools/, and what it is for.
COMMANDS = {
    'train': ('train.py', 'train a config'),
    'test': ('test.py', 'test a checkpoint with the data and metrics of its config'),
    'pseudo-labels': ('generate_pseudo_labels.py', "a mask for every point of a config's data set"),
    'check': ('misc/check_dataset.py', 'what is in the data set of a config, and what is wrong'),
    'convert': (None, 'points, maps, data sets and checkpoints from one format into another'),
    'predict': ('predict.py', 'a mask for every point of your own images'),
}
CONVERTER_FOLDERS = ('dataset_converters', 'model_converters')


def main(argv: Sequence[str] | None = None) -> None:
    """Run a tool as ``python tools/<tool>.py`` would, by the name of a sub-command.

    Args:
        argv: the sub-command and the arguments of its tool; None for those of the process.

    Raises:
        SystemExit: 2 for a sub-command or converter that does not exist; as the tool exits.
    """
    args = _parse_args(argv)
    home = find_home(PACKAGE)
    tool, arguments = COMMANDS[args.command][0], args.arguments
    if tool is not None:
        run_tool(home / 'tools' / tool, resolve_configs(arguments, home / 'configs'))
        return
    converters = find_converters(home / 'tools')
    if not arguments or arguments[0] in ('-h', '--help'):
        print(_describe_converters(converters))
        return
    name = arguments[0].removesuffix('.py').replace('-', '_')
    if name not in converters:
        close = difflib.get_close_matches(name, converters, n=1)
        hint = f'did you mean {close[0]}?' if close else f'choose from {", ".join(converters)}'
        print(f'mmp2seg convert: error: no converter {arguments[0]!r}: {hint}', file=sys.stderr)
        sys.exit(2)
    run_tool(converters[name], arguments[1:])


def find_home(package: Path) -> Path:
    """The folder with ``tools/`` and ``configs/`` that belongs to a package folder.

    In a checkout that is the package's parent, even where a wheel was built and left its copies in
    ``.mim``; otherwise it is ``.mim``.

    Raises:
        SystemExit: there is neither.
    """
    candidates = [package / '.mim']
    if (package.parent / 'model-index.yml').is_file():  # else tools/ there may be anybody's
        candidates.insert(0, package.parent)
    for folder in candidates:
        if (folder / 'tools' / 'train.py').is_file():
            return folder
    sys.exit(f'mmp2seg: error: {candidates[-1] / "tools"}: no such folder, install mmp2seg anew')


def resolve_configs(arguments: Sequence[str], configs: Path) -> list[str]:
    """Arguments with names of the package's own configs replaced by their paths.

    ``p2seg/tiny_shapes.py`` and ``configs/p2seg/tiny_shapes.py`` are such names, unless there is a
    file of this path.
    """
    resolved = []
    for argument in arguments:
        path = configs / argument.removeprefix('configs/')
        if argument.endswith('.py') and not Path(argument).exists() and path.is_file():
            argument = str(path)
        resolved.append(argument)
    return resolved


def find_converters(tools: Path) -> dict[str, Path]:
    """Converters of data sets and models by name, in the order of the folders and names."""
    return {
        path.stem: path
        for folder in CONVERTER_FOLDERS
        for path in sorted((tools / folder).glob('*.py'))
    }


def run_tool(path: Path, arguments: Sequence[str]) -> None:
    """Run a Python file as a script; its usage and errors name the file, as ever."""
    before = sys.argv
    sys.argv = [str(path), *arguments]
    try:
        runpy.run_path(str(path), run_name='__main__')
    finally:
        sys.argv = before


def _parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    width = max(map(len, COMMANDS))
    lines = [f'  {name:{width}}  {purpose}' for name, (_, purpose) in COMMANDS.items()]
    parser = argparse.ArgumentParser(
        prog='mmp2seg',
        description='Instance segmentation from one point per object.',
        epilog='\n'.join(
            [
                'commands:',
                *lines,
                '',
                'mmp2seg COMMAND --help tells the arguments of a command, mmp2seg convert lists',
                'the converters. A config is a path, or one of the package: p2seg/hrnet48_voc.py.',
            ]
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--version', action='version', version=f'mmp2seg {__version__}')
    parser.add_argument('command', choices=COMMANDS, metavar='COMMAND', help='see below')
    parser.add_argument('arguments', nargs=argparse.REMAINDER, metavar='...', help='of the command')
    return parser.parse_args(argv)


def _describe_converters(converters: dict[str, Path]) -> str:
    width = max(map(len, converters), default=0)
    lines = ['usage: mmp2seg convert NAME ...    (mmp2seg convert NAME --help: its arguments)']
    folder = None
    for name, path in converters.items():
        if path.parent.name != folder:
            folder = path.parent.name
            lines += ['', f'{folder.replace("_", " ")}:']
        lines.append(f'  {name:{width}}  {_purpose(path)}')
    return '\n'.join(lines)


def _purpose(path: Path) -> str:
    """First line of a file's docstring; the file is not run."""
    return (ast.get_docstring(ast.parse(path.read_text(encoding='utf-8'))) or '').split('\n')[0]
