"""Launch the fused kernels of guided propagation; :mod:`.guided` explains the maths.

The module can be imported without triton and CUDA. :func:`supports` tells whether the kernels run.
"""

import functools
from collections.abc import Sequence
from types import ModuleType

import torch
from torch import Tensor

from mmp2seg.ops.affinity.triton_trial import on_device, triton_runs

# Pixels of a program; score maps of a program of a step, which share its weights.
_BLOCK = 128
_MAPS = 4
# All weights of a pixel's channels are in registers.
_MAX_CHANNELS = 16


def supports(scores: Tensor, image: Tensor) -> bool:
    """Return whether the kernels propagate these scores: on their device, and without gradient."""
    needs_grad = scores.requires_grad and torch.is_grad_enabled()
    known = scores.dtype != torch.float64 and image.shape[-3] <= _MAX_CHANNELS and not needs_grad
    return known and triton_runs(_trial, scores.device, what='guided propagation')


def neighbor_weights(
    image: Tensor,
    steps: Sequence[tuple[int, int]],
    near_weights: Sequence[float],
    *,
    valid: Tensor | None,
    color_scale: float,
) -> Tensor:
    """Compute the rows of the affinity, of all images of a batch in one launch.

    Args:
        image: ``(B, C, H, W)`` float32.
        steps: rows and columns to the P neighbours.
        near_weights: the term of the distance of each neighbour.
        valid: ``(B, H, W)`` bool.
        color_scale: see :func:`mmp2seg.ops.affinity.guided.guided_propagation`.

    Returns:
        Tensor: ``(B, 1 + P, H, W)`` float32: the weight of the pixel itself, then of the
        neighbours.
    """
    batch, channels, height, width = image.shape
    image = image.contiguous()
    weights = image.new_empty(batch, 1 + len(steps), height, width)
    with on_device(image.device):
        _kernels().neighbor_weights_kernel[(-(-height * width // _BLOCK), batch)](
            image,
            image if valid is None else valid.contiguous().byte(),  # unused without a mask
            _steps_on(image.device, tuple(steps)),
            _floats_on(image.device, tuple(near_weights)),
            weights,
            height,
            width,
            color_scale,
            channels**-0.5,
            NEIGHBORS=len(steps),
            CHANNELS=channels,
            PADDED=1 << (channels - 1).bit_length(),
            HAS_VALID=valid is not None,
            BLOCK=_BLOCK,
        )
    return weights


def propagate(
    scores: Tensor,
    weights: Tensor,
    steps: Sequence[tuple[int, int]],
    *,
    fixed: Tensor | None,
    iterations: int,
) -> Tensor:
    """Propagate the scores of a batch ``iterations`` times.

    Args:
        scores: ``(B, N, H, W)`` float32.
        weights: ``(B, 1 + P, H, W)`` float32, see :func:`neighbor_weights`.
        steps: rows and columns to the P neighbours.
        fixed: ``(B, H, W)`` bool, see :func:`mmp2seg.ops.affinity.guided.guided_propagation`.
        iterations: at least 1.

    Returns:
        Tensor: ``(B, N, H, W)`` float32.
    """
    batch, num_maps, height, width = scores.shape
    values, spare = scores.contiguous(), None
    grid = (-(-height * width // _BLOCK), -(-num_maps // _MAPS), batch)
    step_table = _steps_on(scores.device, tuple(steps))
    mask = values if fixed is None else fixed.contiguous().byte()  # unused without a mask
    with on_device(scores.device):
        for index in range(iterations):
            result = torch.empty_like(values) if spare is None else spare
            _kernels().propagation_step_kernel[grid](
                values,
                weights,
                step_table,
                mask,
                result,
                num_maps,
                height,
                width,
                NEIGHBORS=len(steps),
                MAPS=_MAPS,
                HAS_FIXED=fixed is not None,
                BLOCK=_BLOCK,
            )
            spare = None if index == 0 else values  # the caller's scores stay as they are
            values = result
    return values


def _trial(device: torch.device) -> None:
    """Launch both kernels on a small image."""
    image = torch.ones(2, 3, 8, 8, device=device)
    mask = torch.ones(2, 8, 8, dtype=torch.bool, device=device)
    steps = [(0, 1), (1, 0)]
    weights = neighbor_weights(image, steps, [0.1, 0.1], valid=mask, color_scale=0.3)
    propagate(image, weights, steps, fixed=mask, iterations=1)


# Copies of a few numbers to the device make the host wait, so they are kept.
@functools.lru_cache(maxsize=32)
def _steps_on(device: torch.device, steps: tuple[tuple[int, int], ...]) -> Tensor:
    return torch.tensor(steps, dtype=torch.int32, device=device)


@functools.lru_cache(maxsize=32)
def _floats_on(device: torch.device, values: tuple[float, ...]) -> Tensor:
    return torch.tensor(values, dtype=torch.float32, device=device)


def _kernels() -> ModuleType:
    """Import the module of the kernels, which needs triton."""
    from mmp2seg.ops.affinity import guided_kernels

    return guided_kernels
