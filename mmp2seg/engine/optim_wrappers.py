"""Mixed precision on CPU, where mmengine's AmpOptimWrapper refuses to run."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS
from torch import nn


@OPTIM_WRAPPERS.register_module()
class CPUAmpOptimWrapper(OptimWrapper):
    """Optimizer wrapper that runs the forward pass under bfloat16 autocast on CPU.

    bfloat16 has the exponent range of float32, so the loss needs no scaling and the state dict
    equals the one of ``OptimWrapper``. The class is registered in mmengine's root registry, so its
    name resolves from every scope.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        with super().optim_context(model), torch.autocast('cpu', dtype=torch.bfloat16):
            yield
