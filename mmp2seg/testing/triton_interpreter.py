"""Run checks of Triton kernels on a CPU, under Triton's interpreter.

The interpreter has to be chosen before triton is imported. So a test file runs itself once in a
subprocess, in which each of its ``check_*`` functions is called.
"""

import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping

import torch


def checks_of(names: Mapping[str, object]) -> dict[str, Callable[[], None]]:
    """Return the functions ``check_*`` of a test file's ``globals()``."""
    return {
        name: check
        for name, check in names.items()
        if name.startswith('check_') and callable(check)
    }


def interpreted_outcomes(file: str) -> dict[str, str]:
    """Run a test file as a script that calls :func:`run_checks`.

    Returns:
        dict: what each check raised, '' if nothing.

    Raises:
        RuntimeError: the script failed; with its messages.
    """
    environment = {
        **os.environ,
        'TRITON_INTERPRET': '1',
        'PYTHONPATH': os.pathsep.join(path for path in sys.path if path),
    }
    process = subprocess.run(
        [sys.executable, file], env=environment, capture_output=True, text=True
    )
    if process.returncode:
        raise RuntimeError(f'{file}: {process.stderr}')
    return json.loads(process.stdout.splitlines()[-1])


def run_checks(checks: Mapping[str, Callable[[], None]]) -> None:
    """Call each check, with seed 0, and print the outcomes as JSON."""
    _repair_interpreter()
    outcomes = dict.fromkeys(checks, '')
    for name, check in checks.items():
        torch.manual_seed(0)
        try:
            check()
        except Exception:
            outcomes[name] = traceback.format_exc()
    print(json.dumps(outcomes))


def _repair_interpreter() -> None:
    """Make Triton's interpreter multiply bfloat16 factors as floats: it multiplies their bits."""
    import numpy as np
    import triton.language as tl
    from triton.runtime.interpreter import InterpreterBuilder, TensorHandle

    original = InterpreterBuilder.create_dot

    def as_float32(handle):
        if handle.dtype.scalar != tl.bfloat16:
            return handle
        return TensorHandle((handle.data.astype(np.uint32) << 16).view(np.float32), tl.float32)

    def create_dot(self, a, b, total, *options):
        return original(self, as_float32(a), as_float32(b), total, *options)

    InterpreterBuilder.create_dot = create_dot
