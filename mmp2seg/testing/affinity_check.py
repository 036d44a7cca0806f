"""Measure accuracy and speed of the fused affinity on a GPU, compared with the other paths."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mmp2seg.ops.affinity import IGNORED, fused, streamed
from mmp2seg.ops.affinity.fused import Blocks

# Largest accepted relative errors. Values are float32 sums. A gradient has the rounding error of
# one of its factors, of 16 bits in float32 and float16 and 8 in bfloat16. With a threshold,
# rounding can put an affinity close to the threshold on either side of it.
VALUE_LIMIT, THRESHOLD_LIMIT = 1e-5, 1e-3
GRAD_LIMITS = {torch.float32: 1e-4, torch.float16: 1e-4, torch.bfloat16: 1e-2}


@dataclass(frozen=True)
class AffinityCase:
    """Arguments of ``pair_loss_and_grad``, and the values to propagate.

    For the shapes see :mod:`mmp2seg.ops.affinity.streamed`.
    """

    rows: Tensor
    codes: Tensor
    weights: Tensor
    values: Tensor

    @property
    def pair_arguments(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.rows, self.codes, self.weights

    def to(
        self, device: torch.device | str, dtype: torch.dtype, weight_dtype: torch.dtype
    ) -> 'AffinityCase':
        """Copy the case to a device, with an embedding of ``dtype``."""
        return AffinityCase(
            self.rows.to(device, dtype),
            self.codes.to(device),
            self.weights.to(device, weight_dtype),
            self.values.to(device),
        )


@dataclass(frozen=True)
class Finding:
    """A measured relative error, with the streamed path's float32 error on the CPU for comparison.

    Attributes:
        what: name of the measured value.
        dtype: dtype of the embedding, as text.
        error: relative error of the fused path.
        cpu_error: relative error of the streamed path in float32 on the CPU.
        limit: largest accepted ``error``.
    """

    what: str
    dtype: str
    error: float
    cpu_error: float
    limit: float

    @property
    def ok(self) -> bool:
        return self.error <= self.limit  # False for nan


def make_case(
    *, size: int = 104, channels: int = 256, maps: int = 2, batch: int = 1, share: float = 1.0
) -> AffinityCase:
    """Make images in which each pixel belongs to the nearest of 12 random points.

    Args:
        size: height and width of the maps in pixels.
        channels: number of channels of the embedding.
        maps: label maps per image.
        batch: number of images.
        share: share of the pixels that take part in the loss; the pixels nearest to the points are
            used.
    """
    generator = torch.Generator().manual_seed(0)
    axis = (torch.arange(size) + 0.5) / size
    pixels = torch.cartesian_prod(axis, axis).expand(batch, maps, -1, -1)  # (B, M, N, 2)
    points = torch.rand(batch, maps, 12, 2, generator=generator)
    distance, nearest = torch.cdist(pixels, points).min(dim=-1)
    far = distance > distance.quantile(share, dim=-1, keepdim=True)
    codes = torch.where(far, IGNORED, nearest).int()  # code 0, one of the 12, is background
    # noise plus one random direction per instance of the first map
    directions = torch.randn(batch, 12, channels, generator=generator)
    directions = directions.take_along_dim(codes[:, 0, :, None].clamp(min=0).long(), dim=1)
    noise = torch.randn(batch, size * size, channels, generator=generator)
    counts = streamed.pair_counts(codes)
    return AffinityCase(
        rows=channels**-0.25 * (0.7 * directions + noise),
        codes=codes,
        weights=torch.where(counts > 0, 1 / (maps * counts), 0.0),
        values=torch.rand(batch, size * size, 22, generator=generator),
    )


def fused_errors(case: AffinityCase, dtype: torch.dtype, *, device: str = 'cuda') -> list[Finding]:
    """Measure the errors of the fused path on a device, compared with float64 on the CPU.

    The reference uses the same embedding, rounded to ``dtype``. The last finding checks
    reproducibility: its error is 1 if the gradient of a second call differs in any bit, else 0.
    """
    on_device = case.to(device, dtype, torch.float32)
    rounded = case.to('cpu', dtype, torch.float64)
    # streamed, in float32 and in float64
    plain = [rounded.to('cpu', kind, torch.float64) for kind in (torch.float32, torch.float64)]
    pairs = functools.partial(fused.pair_loss_and_grad, *on_device.pair_arguments)
    loss, grad = pairs(needs_grad=True)
    losses, grads = zip(
        *(streamed.pair_loss_and_grad(*p.pair_arguments, needs_grad=True) for p in plain)
    )
    found = [
        ('loss', loss, losses, VALUE_LIMIT),
        ('loss without gradient', pairs(needs_grad=False)[0], losses, VALUE_LIMIT),
        ('gradient', grad, grads, GRAD_LIMITS[dtype]),
    ]
    for beta, threshold, limit in ((1.0, 0.0, VALUE_LIMIT), (2.5, 0.6, THRESHOLD_LIMIT)):
        options = dict(beta=beta, threshold=threshold)
        sums = [streamed.propagate(p.rows, p.values.to(p.rows), **options) for p in plain]
        value = fused.propagate(on_device.rows, on_device.values, **options)
        found.append((f'propagation, beta {beta}, threshold {threshold}', value, sums, limit))
    kind = str(dtype).removeprefix('torch.')
    findings = [
        Finding(what, kind, relative_error(value, exact), relative_error(cpu, exact), limit)
        for what, value, (cpu, exact), limit in found
    ]
    differs = float(not torch.equal(pairs(needs_grad=True)[1], grad))
    return [*findings, Finding('gradient differs in a second call', kind, differs, 0.0, 0.0)]


def relative_error(value: Tensor, reference: Tensor) -> float:
    """Return the norm of the difference divided by the norm of the reference."""
    return float((value.cpu().double() - reference).norm() / reference.norm())


def fused_calls(
    case: AffinityCase, dtype: torch.dtype, *, device: str = 'cuda'
) -> dict[str, Callable]:
    """Return calls of the fused path to time; each takes ``blocks`` as an optional argument."""
    case = case.to(device, dtype, torch.float32)
    return {
        'loss and gradient': functools.partial(
            fused.pair_loss_and_grad, *case.pair_arguments, needs_grad=True
        ),
        'propagation': functools.partial(
            fused.propagate, case.rows, case.values, beta=2.0, threshold=0.0
        ),
    }


def plain_calls(case: AffinityCase, *, device: str = 'cuda') -> dict[str, Callable]:
    """Return calls of the same operations as :func:`fused_calls`, streamed and dense in torch."""
    exact = case.to(device, torch.float32, torch.float64)
    plain = case.to(device, torch.float32, torch.float32)
    return {
        'loss and gradient, streamed': functools.partial(
            streamed.pair_loss_and_grad, *exact.pair_arguments, needs_grad=True
        ),
        'loss and gradient, dense': functools.partial(dense_loss_and_grad, *plain.pair_arguments),
        'propagation, streamed': functools.partial(
            streamed.propagate, plain.rows, plain.values, beta=2.0, threshold=0.0
        ),
    }


def variant_calls(case: AffinityCase, *, device: str = 'cuda') -> dict[str, Callable]:
    """Return calls of a float32 embedding by bfloat16 terms (fused) and by tile size (streamed)."""
    calls: dict[str, Callable] = {}
    fused_paths = fused_calls(case, torch.float32, device=device)
    for what, call in fused_paths.items():
        for terms in (1, 2, 3):
            calls[f'{what}, fused, {terms} terms'] = functools.partial(call, terms=terms)
    for what, call in plain_calls(case, device=device).items():
        if 'streamed' in what:
            for size in (1024, 2048, 4096, 8192):
                calls[f'{what}, tiles of {size}'] = functools.partial(call, block_size=size)
    return calls


def dense_loss_and_grad(rows: Tensor, codes: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Compute ``pair_loss_and_grad`` with N x N matrices in plain torch.

    It has the arguments and results of :func:`mmp2seg.ops.affinity.streamed.pair_loss_and_grad`.
    """
    rows = rows.detach().requires_grad_()
    affinity = (rows @ rows.mT).sigmoid()[:, None]
    first, second = codes[..., :, None], codes[..., None, :]
    objects, mixed = (first > 0) & (second > 0), (first * second == 0) & (first + second > 0)
    same, different, mixed_weight = weights[..., None, None].unbind(dim=2)
    parts = objects * torch.where(first == second, same * (1 - affinity), different * affinity)
    loss = (parts + mixed * mixed_weight * affinity).sum(dim=(1, 2, 3))
    (grad,) = torch.autograd.grad(loss.sum(), rows)
    return loss.detach(), grad


def blocks_errors(
    sizes: tuple[int, ...], options: Mapping[str, Any], device: str = 'cuda'
) -> dict[str, tuple[float, bool] | None]:
    """Compute both kernels with a block size on a device, and compare with float64.

    Args:
        sizes: of :class:`mmp2seg.ops.affinity.fused.Blocks`.
        options: of :func:`make_case`.
        device: of both.

    Returns:
        dict: by kernel and dtype, the relative error and whether it is small enough; None if a
        program of this size needs more than the device has.
    """
    blocks, case, found = Blocks(*sizes), make_case(**options), {}
    for dtype, limit in GRAD_LIMITS.items():
        exact = case.to('cpu', dtype, torch.float64).to(device, torch.float64, torch.float64)
        expected = {
            'loss and gradient': streamed.pair_loss_and_grad(
                *exact.pair_arguments, needs_grad=True
            )[1],
            'propagation': streamed.propagate(
                exact.rows, exact.values.double(), beta=2.0, threshold=0.0
            ),
        }
        for what, call in fused_calls(case, dtype, device=device).items():
            try:
                result = call(blocks=blocks)
            except Exception as error:
                if type(error).__name__ != 'OutOfResources':  # of triton, which is optional
                    raise
                found[f'{what}, {dtype}'] = None
                continue
            value = result[1] if isinstance(result, tuple) else result
            reference = expected[what]
            assert reference is not None
            error = relative_error(value, reference.cpu())
            allowed = limit if what == 'loss and gradient' else VALUE_LIMIT
            found[f'{what}, {dtype}'] = error, error <= allowed
    return found


def block_times(sizes: tuple[int, ...], options: Mapping[str, Any]) -> dict[str, float | None]:
    """Return the median milliseconds of both kernels on CUDA, by kernel and dtype.

    For the arguments see :func:`blocks_errors`.
    """
    case, found = make_case(**options), {}
    for dtype in GRAD_LIMITS:
        for what, call in fused_calls(case, dtype).items():
            measured = measure(functools.partial(call, blocks=Blocks(*sizes)))
            found[f'{what}, {dtype}'] = None if measured is None else measured[0]
    return found


def measure(call: Callable[[], object]) -> tuple[float, float] | None:
    """Return median milliseconds and extra peak megabytes on CUDA, None if out of memory."""
    import triton

    try:
        call()
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        extra = torch.cuda.max_memory_allocated() - before
        return triton.testing.do_bench(call, return_mode='median'), extra / 1e6
    except (torch.cuda.OutOfMemoryError, triton.runtime.errors.OutOfResources):
        return None


def candidate_blocks() -> list[Blocks]:
    """Return the block sizes in use, and further candidates for tuning."""
    more = ((128, 64, 8, 3), (128, 32, 8, 3), (64, 64, 4, 2), (64, 32, 4, 2), (64, 32, 8, 1))
    return [*fused.BLOCKS, *(Blocks(*sizes) for sizes in more)]
