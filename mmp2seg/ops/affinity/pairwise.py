"""Pairwise affinity of all pixels: the pair loss L_I2S, and the propagation S = A^(o beta) * C.

I2S (instance to semantic) is the paper's step from instances to semantic scores. ``A`` is the
affinity: ``A_ij = sigmoid(e_i . e_j)`` for pixels i and j with embedding ``e``. ``C`` denotes
semantic scores, ``S`` the propagated scores, and ``o beta`` the Hadamard (elementwise) power.

``A`` has N x N elements for N pixels and is never stored as a whole.
:mod:`mmp2seg.ops.affinity.streamed` computes it tile by tile; on CUDA with Triton installed,
:mod:`mmp2seg.ops.affinity.fused` computes it in fused kernels.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mmp2seg.ops.affinity import fused, streamed

# Values of an instance map other than the instances 1..N.
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
    """Compute the balanced pair loss of each image's affinities against its instance maps (L_I2S).

    The loss of a map is ``1/N+ sum_{R+} (1 - A) + 1/N- sum_{R-} A``. ``R+`` contains the N+ ordered
    pairs of pixels of the same instance, including each pixel with itself; ``R-`` contains the N-
    pairs of different instances. A sum without pairs is 0. Each logit is computed once for all maps
    and for the gradient. Sums are float32 (float64 for a float64 embedding), also under autocast.
    Only first derivatives are supported.

    Args:
        embedding: ``(B, D, h, w)`` floats.
        instance_maps: ``(B, M, h, w)`` integers, M maps per image: 1..N an instance, 0 background,
            negative ignored.
        background: ``'ignore'`` ignores background pixels. ``'different'`` counts a background and
            an instance pixel as a pair of different instances, and ignores pairs of two background
            pixels. ``'separate'`` averages these N0 mixed pairs separately, ``+ 1/N0 sum A``,
            because they far outnumber the pairs of two instances. ``'instance'`` treats the
            background as one more instance.
        ignored_as_background: treat ignored pixels as background.
        map_weights: ``(M,)`` floats >= 0, the weight of each map; 1 / M each by default.
        block_size: side of a tile in pixels; changes only rounding.

    Returns:
        Tensor: ``(B,)`` float32 (float64 for a float64 embedding); an image without pairs gives a
        zero that keeps its graph.

    Raises:
        ValueError: for an unknown ``background``, or if the shapes do not match.
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
    rows = _pixel_rows(embedding)
    loss: Tensor = _PairLoss.apply(rows, codes, weights, block_size)  # type: ignore[no-untyped-call]
    return loss


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
    """Propagate scores, ``S = A^(o beta) * C``, with the rows of the affinity normalised to sum 1.

    Every pixel gets the mean of all pixels' scores, weighted by ``A_ij^beta``. Probabilities remain
    probabilities, and a constant map remains constant. No gradient is computed.

    Args:
        embedding: ``(B, D, h, w)`` floats.
        scores: ``(B, C, h, w)`` floats, for example semantic probabilities.
        rounds: number of propagations; each takes the result of the previous one. 0 returns the
            scores unchanged.
        beta: Hadamard power, above 0 (table 10 of the paper).
        threshold: smaller affinities become 0, except that of a pixel with itself.
        radius: affinities of pixels farther apart than this, in cells of the grid, become 0;
            None = no limit. A smaller radius is faster.
        valid: ``(B, h, w)`` bool, the pixels whose scores are used; all by default. It prevents
            padding from leaking into the image. A pixel without affinity to any valid pixel gets 0.
        block_size: side of a tile in pixels; changes only rounding.

    Returns:
        Tensor: ``(B, C, h, w)`` float32 (float64 for a float64 embedding).

    Raises:
        ValueError: if ``beta`` is not positive, ``rounds`` negative, or the grids differ.
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
            # Propagate the mask as one more channel: its result is the sum of valid affinities.
            masked = torch.cat([values * mask, mask], dim=2)
            if radius is None and fused.propagates(rows):
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
    """Mark pixels that are neither instance nor background as ignored, for :func:`pair_loss`.

    Args:
        instance_maps: ``(..., H, W)`` integers, 0 none, 1..N an instance.
        semantic_maps: of the same shape, 0 background, all other values a class or ignore.

    Returns:
        Tensor: ``(..., H, W)``, 1..N an instance, 0 background, -1 ignored.
    """
    unknown = (instance_maps == BACKGROUND) & (semantic_maps != 0)
    return instance_maps.masked_fill(unknown, IGNORED)


class _PairLoss(torch.autograd.Function):
    """Pair loss of pixel rows; the forward pass computes the gradient and saves it for backward."""

    @staticmethod
    def forward(
        ctx: Any, rows: Tensor, codes: Tensor, weights: Tensor, block_size: int | None
    ) -> Tensor:
        """Compute (B,) losses of (B, N, D) rows, (B, M, N) codes and (B, M, 3) float64 weights."""
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
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, None, None, None]:
        """Scale the saved gradient of the rows by the ``(B,)`` gradients of the losses."""
        (grad,) = ctx.saved_tensors
        return (grad * grad_output[:, None, None]).to(ctx.dtype), None, None, None


def _pair_codes(instance_maps: Tensor, background: str, ignored_as_background: bool) -> Tensor:
    """Convert ``(B, M, h, w)`` maps to ``(B, M, N)`` int32 codes.

    A pixel with a negative code is in no pair. Two pixels with a code 0 make no pair; a pixel with
    code 0 and one with a code 1..N make a mixed pair. Two pixels with codes 1..N are a same pair if
    the codes are equal, and a different pair otherwise.
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
    """Return batch size, height and width of ``(B, C, h, w)``."""
    return values.shape[0], *values.shape[2:]


def _pixel_rows(values: Tensor) -> Tensor:
    """Convert ``(B, C, h, w)`` to contiguous ``(B, h*w, C)``."""
    return values.flatten(2).transpose(1, 2).contiguous()


def _at_least_float32(values: Tensor) -> Tensor:
    return values if values.dtype == torch.float64 else values.float()
