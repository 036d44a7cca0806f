"""Mixed precision where mmengine's AmpOptimWrapper refuses to run."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS
from torch import nn


@OPTIM_WRAPPERS.register_module()
class CPUAmpOptimWrapper(OptimWrapper):
    """An optimizer wrapper whose forward passes run under bfloat16 autocast on CPU.

    bfloat16 has float32's range of exponents, so the loss is not scaled and the state dict is that
    of a plain ``OptimWrapper``. Registered in mmengine's root: its name resolves from every scope.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        with super().optim_context(model), torch.autocast('cpu', dtype=torch.bfloat16):
            yield
