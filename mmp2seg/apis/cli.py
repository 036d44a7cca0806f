"""The console command ``mmp2seg``, which runs the tools of a checkout or an installed wheel.

This module imports only the standard library, because the tools must select a device before
mmengine is imported.
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
# Per command: path of its tool in tools/ (None for the converters), and its purpose.
COMMANDS = {
    'init': ('init.py', 'write configs for your own images and points, and say what to run next'),
    'train': ('train.py', 'train a config'),
    'test': ('test.py', 'test a checkpoint with the data and metrics of its config'),
    'pseudo-labels': (
        'generate_pseudo_labels.py',
        "write a mask for every point of a config's dataset",
    ),
    'check': (
        'misc/check_dataset.py',
        "list the contents and the problems of a config's dataset",
    ),
    'convert': (None, 'convert points, semantic maps, datasets and checkpoints between formats'),
    'annotate': ('annotate.py', 'click points on your own images, on a page that shows masks'),
    'label-studio': (
        'label_studio_backend.py',
        'answer keypoints in Label Studio with masks, as its ML backend',
    ),
    'masks': ('masks.py', 'write a mask for every point of your own images, without training'),
    'predict': (
        'predict.py',
        'write a mask for every point of your own images, with a trained network',
    ),
    'refine-labels': (
        'refine_labels.py',
        "replace masks by those of SAM's candidates that agree with them",
    ),
    'merge': ('merge.py', 'join point jsons or pseudo label jsons of different images'),
    'split': ('split.py', 'split a point json or a pseudo label json by images'),
    'report': ('report.py', 'write a report of a training and its pseudo labels as HTML'),
}
CONVERTER_FOLDERS = ('dataset_converters', 'model_converters')


def main(argv: Sequence[str] | None = None) -> None:
    """Run the tool of a sub-command, as ``python tools/<tool>.py`` would.

    Args:
        argv: the sub-command and the arguments of its tool. None: the arguments of the process.

    Raises:
        SystemExit: with status 2 for an unknown sub-command or converter; otherwise with the status
            of the tool, if the tool raises it.
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
    """Return the folder that holds ``tools/`` and ``configs/`` for a package folder.

    In a checkout it is the package's parent, even if a wheel build left copies in ``.mim``. In an
    installed package it is ``.mim``.

    Raises:
        SystemExit: neither folder exists.
    """
    candidates = [package / '.mim']
    # without the model index, tools/ may belong to another project
    if (package.parent / 'model-index.yml').is_file():
        candidates.insert(0, package.parent)
    for folder in candidates:
        if (folder / 'tools' / 'train.py').is_file():
            return folder
    sys.exit(f'mmp2seg: error: {candidates[-1] / "tools"}: no such folder, reinstall mmp2seg')


def resolve_configs(arguments: Sequence[str], configs: Path) -> list[str]:
    """Replace the names of the package's configs by their paths.

    ``p2seg/tiny_shapes.py`` and ``configs/p2seg/tiny_shapes.py`` are such names. An argument that
    is the path of an existing file is kept.
    """
    resolved = []
    for argument in arguments:
        path = configs / argument.removeprefix('configs/')
        if argument.endswith('.py') and not Path(argument).exists() and path.is_file():
            argument = str(path)
        resolved.append(argument)
    return resolved


def find_converters(tools: Path) -> dict[str, Path]:
    """Find the converters of datasets and models by name, sorted by folder and name."""
    return {
        path.stem: path
        for folder in CONVERTER_FOLDERS
        for path in sorted((tools / folder).glob('*.py'))
    }


def run_tool(path: Path, arguments: Sequence[str]) -> None:
    """Run a Python file as a script, so that its usage and errors show the file's name."""
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
                'mmp2seg COMMAND --help lists the arguments of a command, mmp2seg convert lists',
                'the converters. A config is a path or a config of the package, such as',
                'p2seg/hrnet48_voc.py.',
            ]
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--version', action='version', version=f'mmp2seg {__version__}')
    parser.add_argument('command', choices=COMMANDS, metavar='COMMAND', help='see below')
    parser.add_argument(
        'arguments', nargs=argparse.REMAINDER, metavar='...', help='arguments of the command'
    )
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
    """Return the first line of a file's docstring, without running the file."""
    return (ast.get_docstring(ast.parse(path.read_text(encoding='utf-8'))) or '').split('\n')[0]
