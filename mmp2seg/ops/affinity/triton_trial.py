"""Find out whether Triton kernels run on a device, by trying them."""

import functools
import importlib.util
import warnings
from collections.abc import Callable

import torch


def triton_runs(trial: Callable[[torch.device], None], device: torch.device, *, what: str) -> bool:
    """Return whether a trial of Triton kernels succeeds; each NVIDIA device is tried once.

    The kernels need triton 3.2 and compute capability 8.

    Args:
        trial: launches the kernels on a device; a function at the top level of a module.
        device: any device.
        what: name of what the kernels compute, for the warning if they fail.
    """
    if device.type != 'cuda' or torch.version.hip or not importlib.util.find_spec('triton'):
        return False
    index = torch.cuda.current_device() if device.index is None else device.index
    return _succeeds(trial, index, what)


@functools.lru_cache
def _succeeds(trial: Callable[[torch.device], None], index: int, what: str) -> bool:
    """Run the trial on a CUDA device; warn if it fails."""
    import triton

    # An assertion in triton 3.0's compiler ends the process; capability below 8 lacks bfloat16.
    version = tuple(int(part) for part in triton.__version__.split('.')[:2])
    if version < (3, 2) or torch.cuda.get_device_capability(index) < (8, 0):
        return False
    device = torch.device('cuda', index)
    try:
        trial(device)
        torch.cuda.synchronize(device)
    except Exception as error:  # many causes: no C compiler, an unknown device, ...
        message = f'the fused {what} does not run on {device}, using plain torch: {error}'
        warnings.warn(message, stacklevel=2)
        return False
    return True


def on_device(device: torch.device) -> torch.cuda.device:
    """Make a device current, because triton launches kernels there; do nothing for a CPU."""
    return torch.cuda.device(device if device.type == 'cuda' else -1)
