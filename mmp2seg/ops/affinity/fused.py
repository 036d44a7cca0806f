"""Launch the fused CUDA kernels; :mod:`mmp2seg.ops.affinity.pairwise` explains the maths.

The module can be imported without triton and CUDA. :func:`supports` tells whether the kernels run.
"""

import functools
from types import ModuleType
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mmp2seg.ops.affinity.triton_trial import on_device, triton_runs

MAX_CHANNELS = 256
# Number of bfloat16 terms that represent a value exactly (float32: 24 bits of mantissa, 8 a term).
_TERMS = {torch.float32: 3, torch.float16: 2, torch.bfloat16: 1}
# Of the loss. Two terms have 16 bits of float32's 24 and give gradients with an error of 4e-5, less
# than tf32 does in the network's convolutions. On an H200 they take 1.5 ms and three 6.9 ms.
_LOSS_TERMS = {**_TERMS, torch.float32: 2}
_VALUE_TERMS = 3
# Shared memory of a program if the device does not report it: the least of compute capability 8.
_LEAST_SHARED_MEMORY = 99 * 1024


class Blocks(NamedTuple):
    """Tile sizes and compile options of a kernel; ``rows`` is a multiple of ``cols``."""

    rows: int
    cols: int
    num_warps: int
    num_stages: int


# In order of preference. For 256 channels, sm_90 uses the first, second and fourth for 1, 2 and 3
# terms. In their loops, 0 to 3 % of the instructions move spilled registers (ptxas of triton 3.6
# and 3.9). All of them are right on an H100 (tools/analysis_tools/cuda_check.py --blocks); --tune
# times them.
BLOCKS = (
    Blocks(128, 64, 8, 2),
    Blocks(128, 32, 8, 2),
    Blocks(64, 64, 8, 2),
    Blocks(64, 32, 8, 2),
    Blocks(64, 16, 8, 2),
    Blocks(32, 32, 8, 2),
    Blocks(32, 16, 4, 2),
    Blocks(16, 16, 4, 1),
)


def supports(embedding: Tensor) -> bool:
    """Return whether the kernels support this ``(B, N, D)`` embedding on its device."""
    return (
        embedding.dtype in _TERMS
        and embedding.shape[-1] <= MAX_CHANNELS
        and triton_available(embedding.device)
    )


def propagates(embedding: Tensor) -> bool:
    """Return whether the kernels propagate with this embedding faster than plain torch does.

    On an H200, 104 x 104 x 256: .8 ms for bfloat16, 3.1 ms for float16 and 4.7 ms for float32;
    streamed in float32, 1.9 ms.
    """
    return embedding.dtype == torch.bfloat16 and supports(embedding)


def triton_available(device: torch.device) -> bool:
    """Return whether the kernels compile and run on a device; each NVIDIA device is tried once.

    See :func:`mmp2seg.ops.affinity.triton_trial.triton_runs` for what they need.
    """
    return triton_runs(_trial, device, what='affinity')


def pair_loss_and_grad(
    embedding: Tensor,
    codes: Tensor,
    weights: Tensor,
    *,
    needs_grad: bool,
    terms: int | None = None,
    blocks: Blocks | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Compute the weighted pair loss of each image and its gradient in one pass over the logits.

    ``sum_m w_same sum_{same} (1 - A) + w_different sum_{different} A + w_mixed sum_{mixed} A`` over
    ordered pairs of pixels, including each pixel with itself, ``A_ij = sigmoid(e_i . e_j)``.
    Results are bitwise reproducible (no atomics) and do not depend on the other images of the
    batch. There is no device sync. Pixels that are ignored in all maps cost nothing.

    Args:
        embedding: ``(B, N, D)`` float32, float16 or bfloat16, D <= 256.
        codes: ``(B, M, N)`` int32. The codes of two pixels in a map determine their pair: it is
            ignored if one code is negative or both are 0, same if they are equal, mixed if one is
            0, and different otherwise.
        weights: ``(B, M, 3)`` float32 >= 0, the weights of same, different and mixed pairs, for
            example 1 / number of pairs.
        needs_grad: also return the gradient.
        terms: bfloat16 terms per factor, 1..3. 1 is bfloat16, its default. 2, the default of
            float16 and float32, represents float16 exactly and is more precise than tf32. 3
            represents float32 exactly.
        blocks: tile sizes of the kernel; by default chosen for the device. Changes only rounding.

    Returns:
        tuple: loss ``(B,)`` float32, gradient ``(B, N, D)`` float32 or None; zeros without pixels,
        maps or pairs.
    """
    batch, num, channels = embedding.shape
    maps = codes.shape[1]
    assert embedding.dtype in _TERMS and channels <= MAX_CHANNELS, (embedding.dtype, channels)
    assert codes.shape == (batch, maps, num) and codes.dtype == torch.int32
    assert weights.shape == (batch, maps, 3) and weights.dtype == torch.float32
    if 0 in (batch, num, maps):
        grad = embedding.new_zeros(embedding.shape, dtype=torch.float32) if needs_grad else None
        return embedding.new_zeros(batch, dtype=torch.float32), grad
    terms = terms or _LOSS_TERMS[embedding.dtype]
    width = _padded_channels(channels)
    blocks = blocks or choose_blocks(terms, width, shared_memory=_shared_memory(embedding.device))
    num_blocks = -(-num // blocks.rows)
    padding = num_blocks * blocks.rows - num
    takes_part = (codes >= 0).any(dim=1)
    order = takes_part.byte().argsort(dim=1, descending=True, stable=True)
    packed = _pack(embedding.take_along_dim(order[..., None], dim=1), terms, width, padding)
    codes = F.pad(codes.take_along_dim(order[:, None], dim=2), (0, padding), value=-1)
    partial = embedding.new_empty(batch, num_blocks, dtype=torch.float32)
    grad = embedding.new_empty(embedding.shape, dtype=torch.float32) if needs_grad else None
    with on_device(embedding.device):
        _kernels().pair_loss_kernel[(num_blocks, batch)](
            packed,
            codes,
            weights.contiguous(),
            takes_part.sum(dim=1, dtype=torch.int32),
            order.int(),
            partial,
            grad if needs_grad else partial,
            num,
            num + padding,
            channels,
            packed.stride(0),
            MAPS=maps,
            TERMS=terms,
            NEEDS_GRAD=needs_grad,
            WIDTH=width,
            BLOCK_ROWS=blocks.rows,
            BLOCK_COLS=blocks.cols,
            num_warps=blocks.num_warps,
            num_stages=blocks.num_stages,
        )
    return partial.sum(dim=1, dtype=torch.float64).float(), grad


def propagate(
    embedding: Tensor,
    values: Tensor,
    *,
    beta: float,
    threshold: float,
    terms: int | None = None,
    blocks: Blocks | None = None,
) -> Tensor:
    """Compute ``sum_j A_ij^beta values_j`` over ``A_ij >= threshold`` and i itself, unnormalised.

    No gradient is computed. All channels are summed in the same order. So the result of a constant
    channel, divided by that of a channel of ones, is constant.

    Args:
        embedding: ``(B, N, D)`` float32, float16 or bfloat16, D <= 256.
        values: ``(B, N, C)`` float32.
        beta: power, above 0.
        threshold: smaller affinities become 0.
        terms, blocks: see :func:`pair_loss_and_grad`. ``terms`` applies to the embedding, and by
            default represents its dtype exactly; the values always have 3 terms.

    Returns:
        Tensor: ``(B, N, C)`` float32.
    """
    batch, num, channels = embedding.shape
    assert embedding.dtype in _TERMS and channels <= MAX_CHANNELS, (embedding.dtype, channels)
    assert values.shape[:2] == (batch, num) and values.dtype == torch.float32
    if 0 in values.shape:
        return torch.empty_like(values)
    terms = terms or _TERMS[embedding.dtype]
    width, values_width = _padded_channels(channels), _padded_channels(values.shape[2])
    blocks = blocks or choose_blocks(
        terms, width, values_width, shared_memory=_shared_memory(embedding.device)
    )
    num_blocks = -(-num // blocks.rows)
    padding = num_blocks * blocks.rows - num
    packed = _pack(embedding, terms, width, padding)
    # the values of the padding are 0, so its affinities do not matter
    packed_values = _pack(values, _VALUE_TERMS, values_width, padding)
    sums = values.new_empty(batch, num + padding, values_width)
    with on_device(embedding.device):
        _kernels().propagation_kernel[(num_blocks, batch)](
            packed,
            packed_values,
            sums,
            num + padding,
            packed.stride(0),
            packed_values.stride(0),
            float(beta),
            float(threshold),
            TERMS=terms,
            WIDTH=width,
            VALUES=values_width,
            BLOCK_ROWS=blocks.rows,
            BLOCK_COLS=blocks.cols,
            num_warps=blocks.num_warps,
            num_stages=blocks.num_stages,
        )
    return sums[:, :num, : values.shape[2]]


def choose_blocks(terms: int, width: int, values_width: int = 0, *, shared_memory: int) -> Blocks:
    """Return the first of ``BLOCKS`` whose tiles fit into the shared memory of a program.

    Args:
        terms: bfloat16 terms of the embedding.
        width: channels of the embedding, padded.
        values_width: channels of the values, padded; 0 without values.
        shared_memory: bytes available to a program.
    """
    for blocks in BLOCKS:
        row_bytes = 2 * blocks.rows * width * terms
        col_bytes = 2 * blocks.cols * (width * terms + values_width * _VALUE_TERMS)
        # the first product is a factor of the next one and passes through shared memory
        exchange = 2 * blocks.rows * blocks.cols * (_VALUE_TERMS if values_width else terms)
        if row_bytes + blocks.num_stages * col_bytes + exchange <= shared_memory:
            return blocks
    return BLOCKS[-1]


def _pack(values: Tensor, terms: int, width: int, padding: int) -> Tensor:
    """Split ``(B, N, D)`` into zero-padded bfloat16 terms ``(terms, B, N + padding, width)``."""
    batch, num, channels = values.shape
    packed = values.new_zeros(terms, batch, num + padding, width, dtype=torch.bfloat16)
    rest = values
    for index in range(terms):
        term = rest.bfloat16()
        packed[index, :, :num, :channels] = term
        if index + 1 < terms:
            rest = rest.float() - term.float()
    return packed


def _padded_channels(channels: int) -> int:
    """Round up to a power of two, and to at least the 16 that tensor cores need."""
    return max(16, 1 << (channels - 1).bit_length())


def _trial(device: torch.device) -> None:
    """Launch the kernels on a few pixels."""
    embedding = torch.ones(1, 16, 16, device=device)
    codes = torch.ones(1, 1, 16, dtype=torch.int32, device=device)
    weights = torch.ones(1, 1, 3, device=device)
    pair_loss_and_grad(embedding, codes, weights, needs_grad=True)
    propagate(embedding, embedding, beta=1.0, threshold=0.0)


@functools.lru_cache
def _shared_memory(device: torch.device) -> int:
    """Return the bytes of shared memory available to one program."""
    if device.type != 'cuda':
        return _LEAST_SHARED_MEMORY
    properties = torch.cuda.get_device_properties(device)
    return int(getattr(properties, 'shared_memory_per_block_optin', _LEAST_SHARED_MEMORY))


def _kernels() -> ModuleType:
    """Import the module of the kernels, which needs triton."""
    from mmp2seg.ops.affinity import kernels

    return kernels
