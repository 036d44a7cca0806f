"""Find the operations for which the host waits for a GPU, or, on a CPU, would wait.

A GPU works through a queue that the host fills. Where the host needs a value or a shape from the
device, or copies its own numbers there, the queue runs empty.
"""

import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from mmp2seg.version import __file__ as _VERSION_FILE

_PACKAGE = Path(_VERSION_FILE).resolve().parent
# The shape or the value of the result depends on values.
_READING = {
    '_local_scalar_dense',
    '_unique',
    '_unique2',
    'bincount',
    'equal',
    'is_nonzero',
    'masked_select',
    'nonzero',
    'repeat_interleave',
    'unique_consecutive',
    'unique_dim',
}
# What torch.tensor and new_tensor do with numbers of the host. A single one is also what is
# assigned to a part of a tensor (mask[:2] = 1), where it becomes an argument of the kernel.
_MAKING = 'lift_fresh'
_INDEXING = {'index', 'index_put', 'index_put_', '_index_put_impl_'}
# They copy to the host, and are no operation where the tensor is there.
_METHODS = ('cpu', 'numpy', 'tolist')


class _Recorder(TorchDispatchMode):
    """Add the operations that wait to ``found``."""

    def __init__(self, found: list[str]) -> None:
        super().__init__()
        self._found = found

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        name = func._schema.name.removeprefix('aten::')
        if (
            name in _READING
            or (name == _MAKING and args[0].dim() > 0)
            or (name in _INDEXING and _waits_to_index(args))
        ):
            self._found.append(_described(name))
        return func(*args, **(kwargs or {}))


@contextmanager
def host_waits() -> Iterator[list[str]]:
    """Collect what would wait in the block, as ``operation (file:line)`` of the package's code.

    Not found: ``Tensor.to`` another device, and a tensor that is made of a single number.
    """
    found: list[str] = []

    def listed(name: str, method: Callable) -> Callable:
        def call(tensor: Tensor, *args: Any, **kwargs: Any) -> Any:
            found.append(_described(name))
            return method(tensor, *args, **kwargs)

        return call

    methods = {name: listed(name, getattr(Tensor, name)) for name in _METHODS}
    with mock.patch.multiple(Tensor, **methods), _Recorder(found):
        yield found


@contextmanager
def device_waits() -> Iterator[list[str]]:
    """Collect where the host waits for a GPU in the block, as :func:`host_waits` does on a CPU.

    ``torch.cuda.set_sync_debug_mode`` finds them; copies of memory that is not pinned are among
    them, calls of ``torch.cuda.synchronize`` are not.
    """
    found: list[str] = []

    def note(message: Warning | str, *_: Any, **__: Any) -> None:
        if 'synchronizing CUDA operation' in str(message):
            found.append(_described('wait'))

    before = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings():
        warnings.simplefilter('always')
        warnings.showwarning = note
        torch.cuda.set_sync_debug_mode('warn')
        try:
            yield found
        finally:
            torch.cuda.set_sync_debug_mode(before)


def _waits_to_index(args: tuple) -> bool:
    """Return whether an index is a mask, whose number of pixels only the device knows."""
    masks = [index for index in args[1] if index is not None and index.dtype == torch.bool]
    is_filled = len(args) > 2 and args[2].numel() == 1  # like masked_fill
    return bool(masks) and not is_filled


def _described(name: str) -> str:
    frames = traceback.extract_stack()[:-2]
    place = next(
        (
            f'{frame.filename}:{frame.lineno}'
            for frame in reversed(frames)
            if Path(frame.filename).is_relative_to(_PACKAGE)
            and Path(frame.filename).name != Path(__file__).name
        ),
        'outside of mmp2seg',
    )
    return f'{name} ({place})'
