"""Count operations of torch code while it runs, inside and outside of modules."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

aten = torch.ops.aten
ELEMENTWISE = 'elementwise'
# Operations of the affinity that torch's counter does not know.
_FORMULAS = {
    aten.addmm_: lambda into, first, second, **_: 2 * math.prod(first) * second[1],
    aten.dot: lambda first, second, **_: 2 * first[0],
}
# Elementwise operations and reductions without torch's tag 'pointwise', in-place ones too.
_ALSO_ELEMENTWISE = (
    *('_softmax', '_log_softmax', '_softmax_backward_data', '_log_softmax_backward_data'),
    *('native_batch_norm', '_native_batch_norm_legit', 'native_batch_norm_backward'),
    *('batch_norm_elemt', 'cudnn_batch_norm', 'native_layer_norm', 'native_group_norm'),
    *('upsample_nearest2d', '_upsample_nearest_exact2d', 'upsample_bilinear2d'),
    *('upsample_nearest2d_backward', 'upsample_bilinear2d_backward'),
    *('max_pool2d_with_indices', 'avg_pool2d', '_adaptive_avg_pool2d', 'masked_fill'),
    *('sum', 'mean', 'amax', 'amin', 'max', 'min', 'argmax', 'argmin', 'cumsum'),
)


class OperationCount:
    """The operations so far, see :func:`counting`."""

    def __init__(self, matrix_mode: FlopCounterMode, elementwise: '_ElementwiseMode') -> None:
        self._matrix_mode = matrix_mode
        self._elementwise = elementwise

    def read(self) -> Mapping[str, float]:
        """Multiply-adds by name of the operation (``'convolution'``, ``'mm'``, ``'addmm_'``, ...),
        and the elementwise operations under :data:`ELEMENTWISE`.
        """
        found: Counter[str] = Counter({ELEMENTWISE: self._elementwise.count})
        for packet, flops in self._matrix_mode.get_flop_counts().get('Global', {}).items():
            found[str(packet).removeprefix('aten.')] += flops // 2
        return found


def macs(counts: Mapping[str, float]) -> int:
    """Multiply-adds of all operations of a count."""
    return sum(count for name, count in counts.items() if name != ELEMENTWISE)


@contextmanager
def counting() -> Iterator[OperationCount]:
    """Count what runs in this context on the CPU; Triton kernels are not counted.

    Multiply-adds are counted by torch's :class:`FlopCounterMode`, which ignores biases, and for the
    operations that it does not know (``addmm_``, ``dot``) by formulas. An elementwise operation
    counts once per element of its largest tensor, regardless of its cost: exponent, power,
    normalisation, interpolation, reduction, comparison. Copies are not counted.
    """
    matrix_mode = FlopCounterMode(display=False, custom_mapping=dict(_FORMULAS))
    elementwise = _ElementwiseMode()
    with matrix_mode, elementwise:
        yield OperationCount(matrix_mode, elementwise)


class _ElementwiseMode(TorchDispatchMode):
    """Adds up the elements of elementwise operations in ``count``."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if _is_elementwise(func):
            results = result if isinstance(result, (tuple, list)) else (result,)
            tensors = [value for value in (*args, *results) if isinstance(value, Tensor)]
            self.count += max((tensor.numel() for tensor in tensors), default=0)
        return result


def _is_elementwise(func) -> bool:
    name = func._schema.name.removeprefix('aten::').rstrip('_')
    if name == 'clone':  # a copy, despite its tag
        return False
    return torch.Tag.pointwise in func.tags or name in _ALSO_ELEMENTWISE
