"""Run a tool of the checkout in this process, as its command does."""

import os
import runpy
import sys
from pathlib import Path
from unittest import mock

# Its progress bars write to the standard output of the moment of its import: not to a test's.
import mmengine.utils  # noqa: F401

TOOLS = Path(__file__).resolve().parents[2] / 'tools'


def run_tool(name: str, *arguments: object) -> None:
    """Run the tool ``<name>.py``, in whichever folder of ``tools/``, with these arguments.

    Raises:
        SystemExit: with the error message, or the exit status if it is not 0.
    """
    (path,) = map(str, TOOLS.rglob(f'{name}.py'))
    argv = [path, *map(str, arguments)]
    with (
        mock.patch.object(sys, 'argv', argv),
        mock.patch.object(sys, 'path', list(sys.path)),
        mock.patch.dict(os.environ),  # --device cpu hides the CUDA devices
    ):
        runpy.run_path(path, run_name='__main__')
