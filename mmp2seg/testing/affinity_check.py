"""How exact and how fast the fused affinity is on a GPU, beside the streamed and the dense way."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from mmp2seg.ops.affinity import fused, streamed
from mmp2seg.ops.affinity.fused import Blocks

# Largest relative errors. Of values: float32 sums. Of the gradient: the same, or the rounding of
# one of its factors. With a threshold an affinity beside it may fall on either side.
VALUE_LIMIT, THRESHOLD_LIMIT = 1e-5, 1e-3
GRAD_LIMITS = {torch.float32: 1e-5, torch.float16: 1e-4, torch.bfloat16: 1e-2}


@dataclass(frozen=True)
class AffinityCase:
    """Arguments of ``pair_loss_and_grad``, and values to propagate."""

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
        """The case on a device, with an embedding of ``dtype``."""
        return AffinityCase(
            self.rows.to(device, dtype),
            self.codes.to(device),
            self.weights.to(device, weight_dtype),
            self.values.to(device),
        )


@dataclass(frozen=True)
class Finding:
    """A relative error that was measured, beside that of the streamed path in float32 on the CPU.

    ``dtype`` is the embedding's, as text.
    """

    what: str
    dtype: str
    error: float
    cpu_error: float
    limit: float

    @property
    def ok(self) -> bool:
        return self.error <= self.limit  # nan is not


def make_case(
    *, size: int = 104, channels: int = 256, maps: int = 2, batch: int = 1, share: float = 1.0
) -> AffinityCase:
    """Images of ``size * size`` pixels, of which each belongs to the nearest of 12 random points.

    Args:
        size: side of the maps in pixels.
        channels: D.
        maps: label maps per image.
        batch: images.
        share: of the pixels that take part in the loss, those nearest to the points.
    """
    generator = torch.Generator().manual_seed(0)
    axis = (torch.arange(size) + 0.5) / size
    pixels = torch.cartesian_prod(axis, axis).expand(batch, maps, -1, -1)  # (B, M, N, 2)
    points = torch.rand(batch, maps, 12, 2, generator=generator)
    distance, nearest = torch.cdist(pixels, points).min(dim=-1)
    far = distance > distance.quantile(share, dim=-1, keepdim=True)
    codes = torch.where(far, -1, nearest).int()  # one of the 12 is background
    # the instances of the first map have directions of their own in a noisy embedding
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
    """Errors of the fused path on a device against float64 on the CPU.

    The reference has the embedding rounded to ``dtype`` as well. The last finding is 1 if the
    gradient of a second call differs in a bit, else 0.
    """
    fused = case.to(device, dtype, torch.float32)
    rounded = case.to('cpu', dtype, torch.float64)
    # (streamed in float32, in float64)
    plain = [rounded.to('cpu', kind, torch.float64) for kind in (torch.float32, torch.float64)]
    pairs = functools.partial(fused.pair_loss_and_grad, *fused.pair_arguments)
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
        value = fused.propagate(fused.rows, fused.values, **options)
        found.append((f'propagation, beta {beta}, threshold {threshold}', value, sums, limit))
    kind = str(dtype).removeprefix('torch.')
    findings = [
        Finding(what, kind, relative_error(value, exact), relative_error(cpu, exact), limit)
        for what, value, (cpu, exact), limit in found
    ]
    differs = float(not torch.equal(pairs(needs_grad=True)[1], grad))
    return [*findings, Finding('another gradient the second time', kind, differs, 0.0, 0.0)]


def relative_error(value: Tensor, reference: Tensor) -> float:
    """Norm of the difference over the norm of the reference."""
    return float((value.cpu().double() - reference).norm() / reference.norm())


def fused_calls(case: AffinityCase, dtype: torch.dtype) -> dict[str, Callable]:
    """Functions to time on the CUDA device, with ``blocks`` as an optional argument."""
    case = case.to('cuda', dtype, torch.float32)
    return {
        'loss and gradient': functools.partial(
            fused.pair_loss_and_grad, *case.pair_arguments, needs_grad=True
        ),
        'propagation': functools.partial(
            fused.propagate, case.rows, case.values, beta=2.0, threshold=0.0
        ),
    }


def plain_calls(case: AffinityCase) -> dict[str, Callable]:
    """What the fused calls stand for, streamed and dense in torch on the CUDA device."""
    streamed = case.to('cuda', torch.float32, torch.float64)
    dense = case.to('cuda', torch.float32, torch.float32)
    return {
        'loss and gradient, streamed': functools.partial(
            streamed.pair_loss_and_grad, *streamed.pair_arguments, needs_grad=True
        ),
        'loss and gradient, dense': functools.partial(dense_loss_and_grad, *dense.pair_arguments),
        'propagation, streamed': functools.partial(
            streamed.propagate, dense.rows, dense.values, beta=2.0, threshold=0.0
        ),
    }


def dense_loss_and_grad(rows: Tensor, codes: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """The N x N way in plain torch; arguments and results as of ``pair_loss_and_grad``."""
    rows = rows.detach().requires_grad_()
    affinity = (rows @ rows.mT).sigmoid()[:, None]
    first, second = codes[..., :, None], codes[..., None, :]
    objects, mixed = (first > 0) & (second > 0), (first * second == 0) & (first + second > 0)
    same, different, mixed_weight = weights[..., None, None].unbind(dim=2)
    parts = objects * torch.where(first == second, same * (1 - affinity), different * affinity)
    loss = (parts + mixed * mixed_weight * affinity).sum(dim=(1, 2, 3))
    (grad,) = torch.autograd.grad(loss.sum(), rows)
    return loss.detach(), grad


def measure(call: Callable[[], object]) -> tuple[float, float] | None:
    """Median milliseconds and extra peak megabytes on the CUDA device; None: it lacks the room."""
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
    """The blocks that are chosen from, and some more to find better ones."""
    more = ((128, 64, 8, 3), (128, 32, 8, 3), (64, 64, 4, 2), (64, 32, 4, 2), (64, 32, 8, 1))
    return [*fused.BLOCKS, *(Blocks(*sizes) for sizes in more)]
