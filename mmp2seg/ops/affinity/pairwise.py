"""Pairwise affinity of all pixels: the pair loss L_I2S, and the propagation S = A^(o beta) * C.

The affinity of two pixels is ``A_ij = sigmoid(e_i . e_j)`` with ``e`` the embedding: N x N for N
pixels. Nothing ever holds that matrix; :mod:`mmp2seg.ops.affinity.streamed` makes it tile by tile,
and on CUDA, where Triton is installed, :mod:`mmp2seg.ops.affinity.fused` in fused kernels.
"""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mmp2seg.ops.affinity import fused, streamed

# What a pixel is in an instance map, besides an instance 1..N.
IGNORED, BACKGROUND = -1, 0
BACKGROUND_RULES = ('ignore', 'different', 'separate', 'instance')


def pair_loss(
    embedding: Tensor,
    instance_maps: Tensor,
    *,
    background: str = 'ignore',
    ignored_as_background: bool = False,
    map_weights: Tensor | None = None,
    block_size: int | None = None,
) -> Tensor:
    """Balanced pair loss of affinities against instance maps, of each image (L_I2S).

    For a map with the ordered pairs ``R+`` (same instance, a pixel with itself included) and ``R-``
    (different instances): ``1/N+ sum_{R+} (1 - A) + 1/N- sum_{R-} A``; a side without pairs is 0.
    Each logit is computed once for all maps and for the gradient. Sums are float32 (float64 for
    a float64 embedding), also under autocast. First derivatives only.

    Args:
        embedding: ``(B, D, h, w)`` floats.
        instance_maps: ``(B, M, h, w)`` integers, M maps per image: 1..N an instance, 0 background,
            negative ignored.
        background: ``'ignore'`` leaves background out; ``'different'`` makes pairs of a background
            and an instance pixel different, pairs of two background pixels still left out;
            ``'separate'`` averages those pairs on their own, ``+ 1/N0 sum A``, because there are
            many more of them than of pairs of two instances; ``'instance'`` treats the background
            as one more instance.
        ignored_as_background: treat ignored pixels as background.
        map_weights: ``(M,)`` floats, at least 0, the weight of each map; 1 / M each by default.
        block_size: pixels along a side of a tile; changes nothing but rounding.

    Returns:
        Tensor: ``(B,)`` float32 (float64); for an image without pairs a zero with graph.

    Raises:
        ValueError: for an unknown ``background``, or shapes that do not fit.
    """
    if background not in BACKGROUND_RULES:
        raise ValueError(f'expected background in {BACKGROUND_RULES}, got {background!r}')
    if instance_maps.dim() != 4 or _grid(instance_maps) != _grid(embedding):
        raise ValueError(
            f'expected instance maps (B, M, h, w) on the grid of the embedding, got '
            f'{tuple(instance_maps.shape)} for {tuple(embedding.shape)}'
        )
    codes = _pair_codes(instance_maps, background, ignored_as_background)
    counts = streamed.pair_counts(codes)  # (B, M, 3): same, different, mixed
    if background != 'separate':
        counts[..., 1:] = counts[..., 1:].sum(dim=-1, keepdim=True)
    num_maps = codes.shape[1]
    if map_weights is None:
        map_weights = torch.full((num_maps,), 1 / max(num_maps, 1), device=codes.device)
    weights = torch.where(counts > 0, map_weights.double()[:, None] / counts, 0.0)
    return _PairLoss.apply(_pixel_rows(embedding), codes, weights, block_size)


def propagate(
    embedding: Tensor,
    scores: Tensor,
    *,
    rounds: int = 1,
    beta: float = 1.0,
    threshold: float = 0.0,
    radius: float | None = None,
    valid: Tensor | None = None,
    block_size: int | None = None,
) -> Tensor:
    """Propagated scores ``S = A^(o beta) * C``, the rows of the affinity summing to 1 (I2S).

    Every pixel gets the mean of all pixels' scores, weighted by ``A_ij^beta``: probabilities stay
    probabilities, and a constant map stays constant. No gradient.

    Args:
        embedding: ``(B, D, h, w)`` floats.
        scores: ``(B, C, h, w)`` floats, such as semantic probabilities.
        rounds: number of propagations; the result of one is the input of the next. 0 returns the
            scores.
        beta: Hadamard power, above 0; table 10 of the paper.
        threshold: affinities below it count as 0, those of a pixel with itself excepted.
        radius: affinities of pixels farther apart than this, in cells of the grid, count as 0;
            None = no limit. Costs less the smaller it is.
        valid: ``(B, h, w)`` bool, the pixels whose scores take part, so that padding does not leak
            into the image; all by default. A pixel that no valid one has an affinity with gets 0.
        block_size: pixels along a side of a tile; changes nothing but rounding.

    Returns:
        Tensor: ``(B, C, h, w)`` float32 (float64 for a float64 embedding).

    Raises:
        ValueError: for a ``beta`` that is not positive, negative ``rounds``, or grids that differ.
    """
    if not beta > 0:
        raise ValueError(f'expected beta > 0, got {beta}')
    if rounds < 0:
        raise ValueError(f'expected rounds >= 0, got {rounds}')
    if scores.dim() != 4 or _grid(scores) != _grid(embedding):
        raise ValueError(
            f'expected scores on the grid of the embedding, got {tuple(scores.shape)} '
            f'for {tuple(embedding.shape)}'
        )
    if rounds == 0:
        return scores
    with torch.no_grad(), torch.autocast(embedding.device.type, enabled=False):
        rows = _pixel_rows(embedding)
        values = _at_least_float32(_pixel_rows(scores)).to(_at_least_float32(rows).dtype)
        mask = torch.ones_like(values[..., :1])
        if valid is not None:
            mask = valid.flatten(1)[..., None].to(values)
        for _ in range(rounds):
            # The mask goes along as one more channel: it becomes the share of valid affinities.
            masked = torch.cat([values * mask, mask], dim=2)
            if radius is None and fused.supports(rows):
                sums = fused.propagate(rows, masked, beta=float(beta), threshold=threshold)
            else:
                sums = streamed.propagate(
                    _at_least_float32(rows),
                    masked,
                    beta=float(beta),
                    threshold=threshold,
                    width=embedding.shape[3],
                    radius=radius,
                    block_size=block_size,
                )
            share = sums[..., -1:]
            values = sums[..., :-1] / torch.where(share > 0, share, 1)
    return values.transpose(1, 2).reshape(scores.shape)  # (B, N, C) -> (B, C, h, w)


def mask_unknown(instance_maps: Tensor, semantic_maps: Tensor) -> Tensor:
    """Mark what is neither an instance nor background as ignored, for :func:`pair_loss`.

    Args:
        instance_maps: ``(..., H, W)`` integers, 0 none, 1..N an instance.
        semantic_maps: of the same shape, 0 background, all other values a class or ignore.

    Returns:
        Tensor: ``(..., H, W)``, 1..N an instance, 0 background, -1 ignored.
    """
    unknown = (instance_maps == BACKGROUND) & (semantic_maps != 0)
    return instance_maps.masked_fill(unknown, IGNORED)


class _PairLoss(torch.autograd.Function):
    """Loss of pixel rows; its gradient is made in the same pass and kept for the backward one."""

    @staticmethod
    def forward(ctx, rows, codes, weights, block_size):
        """``rows`` (B, N, D), ``codes`` (B, M, N), ``weights`` (B, M, 3) float64 -> (B,)."""
        needs_grad = ctx.needs_input_grad[0]
        with torch.autocast(rows.device.type, enabled=False):
            if fused.supports(rows):
                loss, grad = fused.pair_loss_and_grad(
                    rows, codes, weights.float(), needs_grad=needs_grad
                )
            else:
                loss, grad = streamed.pair_loss_and_grad(
                    _at_least_float32(rows),
                    codes,
                    weights,
                    needs_grad=needs_grad,
                    block_size=block_size,
                )
        if needs_grad:
            ctx.save_for_backward(grad)
            ctx.dtype = rows.dtype
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_output):
        """``(B,)`` -> gradient of the rows."""
        (grad,) = ctx.saved_tensors
        return (grad * grad_output[:, None, None]).to(ctx.dtype), *[None] * 3


def _pair_codes(instance_maps: Tensor, background: str, ignored_as_background: bool) -> Tensor:
    """``(B, M, h, w)`` maps -> ``(B, M, N)`` int32 codes.

    Negative: in no pair. 0: different from every instance, in no pair with another 0. 1..N: same as
    its equals, different from all others.
    """
    codes = instance_maps.flatten(2).int()
    if ignored_as_background:
        codes = codes.clamp(min=BACKGROUND)
    if background == 'ignore':
        return torch.where(codes == BACKGROUND, IGNORED, codes)
    if background == 'instance':
        return torch.where(codes >= BACKGROUND, codes + 1, codes)
    return codes


def _grid(values: Tensor) -> tuple[int, ...]:
    """Batch size, height and width of ``(B, C, h, w)``."""
    return values.shape[0], *values.shape[2:]


def _pixel_rows(values: Tensor) -> Tensor:
    """``(B, C, h, w)`` -> ``(B, h*w, C)``, contiguous."""
    return values.flatten(2).transpose(1, 2).contiguous()


def _at_least_float32(values: Tensor) -> Tensor:
    return values if values.dtype == torch.float64 else values.float()
