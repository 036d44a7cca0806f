"""How the tools that run other tools put a command together."""

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path


def tool_command(tools: Path, name: str, *arguments: object) -> list[str]:
    """Command that runs ``tools/<name>`` with this Python; arguments become text."""
    return [sys.executable, str(tools / name), *map(str, arguments)]


def cfg_options(options: Mapping[str, object]) -> list[str]:
    """``--cfg-options KEY=VALUE ...`` of a command; nothing for no options."""
    if not options:
        return []
    return ['--cfg-options', *(f'{key}={value}' for key, value in options.items())]


def children_environment(root: Path, **values: str) -> dict[str, str]:
    """The environment of the commands: this process's, with what they need added.

    Args:
        root: folder of the package, for a checkout that is not installed.
        values: defaults; what this process's environment says goes before them.
    """
    python_path = [str(root), os.environ.get('PYTHONPATH')]
    return {
        # OpenMP threads that spin while they wait cost a data worker beside them its core
        'OMP_WAIT_POLICY': 'PASSIVE',
        **values,
        **os.environ,
        'PYTHONPATH': os.pathsep.join(filter(None, python_path)),
        'PYTHONUNBUFFERED': '1',
    }


def end_like_interrupted(*names: str) -> None:
    """Let signals end this process as Ctrl-C does, unless they are ignored (nohup)."""
    for name in names:
        number = getattr(signal, name, None)  # Windows lacks some
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)
