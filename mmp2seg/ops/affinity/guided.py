"""Propagation of scores between near pixels of similar colour, at full resolution.

Pixel-adaptive refinement: Ru et al., 'Learning Affinity from Attention' (AFA, CVPR 2022), section
3.4. A pixel takes the weighted mean of its neighbours' scores; the weights compare colours and
distances and sum to 1. Learned embeddings can be a further factor of the weights.

Dimensions: ``N`` score maps; ``H, W`` pixels; ``P`` neighbours, 8 for each dilation; ``D`` channels
of the embedding.
"""

import math
import statistics
from collections.abc import Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mmp2seg.ops.affinity import guided_fused

# The 8 steps to the neighbours, rows and columns.
_STEPS = tuple((down, right) for down in (-1, 0, 1) for right in (-1, 0, 1) if down or right)
# Number of values that an operation computes at a time on the CPU; they stay in a core's cache.
_CPU_CHUNK = 1 << 17
# Smallest logarithm of sigmoid(e_i . e_j)^beta, so that a row of such factors has a sum above 0.
_MIN_LOG_FACTOR = -60.0


def guided_propagation(
    scores: Tensor,
    image: Tensor,
    *,
    iterations: int = 5,
    dilations: Sequence[int] = (1, 2, 4),
    color_scale: float = 0.3,
    position_weight: float = 0.01,
    valid: Tensor | None = None,
    fixed: Tensor | None = None,
    embedding: Tensor | None = None,
    beta: float = 1.0,
    block: int = 32,
    memo: MutableMapping[str, Any] | None = None,
) -> Tensor:
    """Propagate scores along the image: ``iterations`` times, ``S <- A S``.

    ``A[i, j]`` is ``softmax_j(-mean_c ((I_i - I_j) / (color_scale std_i))^2)`` plus
    ``position_weight`` times a softmax of the distance in the same form, both over the 8 neighbours
    at each dilation. ``std_i`` is the standard deviation of a colour channel over the pixel and its
    neighbours. With an embedding, ``A[i, j]`` is multiplied by ``sigmoid(e_i . e_j)^beta``. The
    rows of A are divided by their sum. At the border, the outermost pixel repeats.

    Args:
        scores: ``(N, H, W)`` floats. All of these can have a leading dimension of the images of a
            batch, as ``(B, N, H, W)``: on CUDA, the fused kernels compute them at once.
        image: ``(C, H, W)`` floats; neither the scale nor the offset of a channel matters. It gets
            no gradient.
        iterations: number of steps; 0 returns the scores.
        dilations: distances to the neighbours, in pixels.
        color_scale: how different the colours of two neighbours may be, in standard deviations.
        position_weight: share of the distance's term.
        valid: ``(H, W)`` bool; all by default. Other pixels, such as padding, keep their scores,
            and are no neighbours: neither their scores nor their colours matter. A pixel without a
            valid neighbour keeps its scores.
        fixed: ``(H, W)`` bool, pixels that keep their scores in all iterations, such as clicks;
            none by default.
        embedding: ``(D, H, W)`` floats; it gets no gradient. The time of the weights grows with D.
        beta: power of the embedding's factor, at least 0.
        block: number of score maps that are propagated at a time. The result does not depend on it.
            Memory is that of ``P + 5 block`` maps. On CUDA, fused kernels propagate all maps at a
            time if the scores need no gradient; then it is that of ``P + 2 N`` maps.
        memo: a dict, empty at first, that keeps the weights (``P`` maps) for further scores of the
            same image. All arguments but ``scores``, ``fixed`` and ``block`` must be the same each
            time.

    Returns:
        Tensor: of the shape and the dtype of ``scores``; computed in float32 (float64 for float64
        scores), also under autocast. Between the smallest and the largest score of the map; if the
        N scores of each pixel sum to 1, they still do.

    Raises:
        ValueError: sizes differ, there are no dilations, ``iterations`` or ``beta`` is negative or
            ``block`` is below 1.
    """
    num_dims, size = scores.dim(), (scores.shape[-2], scores.shape[-1])
    lead = scores.shape[:-3]
    if (
        num_dims not in (3, 4)
        or image.dim() != num_dims
        or (image.shape[:-3], tuple(image.shape[-2:])) != (lead, size)
    ):
        raise ValueError(
            'expected scores ([B,] N, H, W) and an image ([B,] C, H, W) of one size, got '
            f'{tuple(scores.shape)} and {tuple(image.shape)}'
        )
    for name, mask in (('valid', valid), ('fixed', fixed)):
        if mask is not None and (mask.shape != (*lead, *size) or mask.dtype != torch.bool):
            raise ValueError(
                f'expected {name} as bool of shape {(*lead, *size)}, got {mask.dtype} of '
                f'{tuple(mask.shape)}'
            )
    if embedding is not None and (
        embedding.dim() != num_dims
        or (embedding.shape[:-3], tuple(embedding.shape[-2:])) != (lead, size)
    ):
        raise ValueError(
            f'expected an embedding ([B,] D, {size[0]}, {size[1]}), got {tuple(embedding.shape)}'
        )
    if not dilations or min(dilations) < 1:
        raise ValueError(f'expected dilations of at least 1, got {tuple(dilations)}')
    if iterations < 0 or block < 1:
        raise ValueError(f'expected iterations >= 0 and a block >= 1, got {iterations} and {block}')
    if beta < 0:
        raise ValueError(f'expected beta >= 0, got {beta}')
    if iterations == 0 or scores.numel() == 0:
        return scores.clone()
    batch = _Batch(scores, image, valid, fixed, embedding)
    options = _Options(
        _Grid(size[0], size[1], tuple(dilations)),
        iterations,
        color_scale,
        position_weight,
        beta,
        block,
    )
    memo = {} if memo is None else memo
    with torch.autocast(scores.device.type, enabled=False):
        if guided_fused.supports(scores, image):
            whole = batch if lead else batch.unsqueezed()
            out = _propagate_fused(whole, options, memo)
            return out if lead else out[0]
        if not lead:
            return _propagate_blocks(batch, options, memo)
        memos = [memo.setdefault(str(index), {}) for index in range(len(scores))]
        images = zip(batch.images(), memos, strict=True)
        return torch.stack([_propagate_blocks(one, options, memo) for one, memo in images])


class _Batch(NamedTuple):
    """Scores, and what they are propagated along; with or without the dimension of a batch."""

    scores: Tensor
    image: Tensor
    valid: Tensor | None
    fixed: Tensor | None
    embedding: Tensor | None

    def unsqueezed(self) -> '_Batch':
        """Return a batch of one image."""
        return _Batch(
            self.scores[None],
            self.image[None],
            *(None if value is None else value[None] for value in self[2:]),
        )

    def images(self) -> list['_Batch']:
        """Return the images of a batch."""
        return [
            _Batch(
                scores,
                self.image[index],
                *(None if value is None else value[index] for value in self[2:]),
            )
            for index, scores in enumerate(self.scores)
        ]


class _Options(NamedTuple):
    grid: '_Grid'
    iterations: int
    color_scale: float
    position_weight: float
    beta: float
    block: int


def _propagate_fused(batch: _Batch, options: _Options, memo: MutableMapping[str, Any]) -> Tensor:
    """Propagate all scores of a batch at once, by the fused kernels."""
    scores, valid, dtype = batch.scores, batch.valid, torch.float32
    if 'fused' not in memo:
        memo['fused'] = _fused_weights(batch, options)
    known = None if valid is None else valid[:, None]
    # a weight of 0 does not remove what is not finite
    values = scores.to(dtype) if known is None else scores.to(dtype).where(known, 0)
    result = guided_fused.propagate(
        values,
        memo['fused'],
        options.grid.steps,
        fixed=batch.fixed,
        iterations=options.iterations,
    ).to(scores.dtype)
    return result if known is None else result.where(known, scores)


def _propagate_blocks(image: _Batch, options: _Options, memo: MutableMapping[str, Any]) -> Tensor:
    """Propagate the scores of one image, ``options.block`` maps at a time."""
    scores, valid, grid = image.scores, image.valid, options.grid
    dtype = torch.promote_types(scores.dtype, torch.float32)
    if 'matrix' not in memo:
        memo['matrix'] = _matrix(image, options, dtype)
    weights, own = memo['matrix']
    held = None if image.fixed is None else image.fixed.to(dtype)
    out = torch.empty_like(scores)
    for start in range(0, len(scores), options.block):
        part = scores[start : start + options.block]
        # a weight of 0 does not remove what is not finite
        values = part.to(dtype) if valid is None else part.to(dtype).where(valid, 0)
        for _ in range(options.iterations):
            after = _step(grid, values, weights, own)
            # not where, which is six times as slow on a CPU
            values = after if held is None else torch.addcmul(after * (1 - held), values, held)
        result = values.to(scores.dtype)
        out[start : start + options.block] = result if valid is None else result.where(valid, part)
    return out


@dataclass(frozen=True)
class _Grid:
    """Padded maps in one row of memory: a neighbour's value is a fixed number of places away.

    All operations work on contiguous ranges of places. The places of a range that lie in the
    padding get values without a meaning; :meth:`unpad` drops them.
    """

    height: int
    width: int
    dilations: tuple[int, ...]

    @property
    def padding(self) -> int:
        return max(self.dilations)

    @property
    def padded_width(self) -> int:
        return self.width + 2 * self.padding

    @property
    def places(self) -> range:
        """The places from the first to the last pixel."""
        first = self.padding * self.padded_width + self.padding
        return range(first, first + (self.height - 1) * self.padded_width + self.width)

    @property
    def steps(self) -> list[tuple[int, int]]:
        """Rows and columns to the P neighbours."""
        return [
            (dilation * down, dilation * right)
            for dilation in self.dilations
            for down, right in _STEPS
        ]

    @property
    def offsets(self) -> list[int]:
        """Distances in memory of the P neighbours."""
        return [down * self.padded_width + right for down, right in self.steps]

    @property
    def lengths(self) -> list[float]:
        """Distances of the P neighbours in pixels."""
        return [math.hypot(*step) for step in self.steps]

    def chunks(self, maps: Tensor) -> list[range]:
        """Split the places into ranges that are computed one after the other, for ``(C, ...)``."""
        places = self.places
        size = _CPU_CHUNK // max(1, len(maps)) if maps.device.type == 'cpu' else len(places)
        size = max(size, self.padded_width)
        return [
            range(start, min(start + size, places.stop))
            for start in range(places.start, places.stop, size)
        ]

    def pad(self, maps: Tensor) -> Tensor:
        """Convert ``(C, H, W)`` to ``(C, padded places)``; the outermost pixel repeats."""
        return F.pad(maps[None], (self.padding,) * 4, mode='replicate')[0].flatten(1)

    def unpad(self, rows: Tensor) -> Tensor:
        """Convert ``(C, places)`` to ``(C, H, W)``."""
        ends = F.pad(rows, (0, 2 * self.padding))
        return ends.view(len(rows), self.height, self.padded_width)[..., : self.width]


def _step(grid: _Grid, scores: Tensor, weights: Tensor, own: Tensor | None) -> Tensor:
    """Return ``A S`` for ``(n, H, W)`` scores S."""
    padded = grid.pad(scores)
    offsets, first = grid.offsets, grid.places.start
    parts = []
    for chunk in grid.chunks(padded):
        inside = slice(chunk.start - first, chunk.stop - first)
        sums = padded.new_zeros(len(padded), len(chunk))
        if own is not None:
            sums.addcmul_(_range(padded, chunk), own[inside])
        for weight, offset in zip(weights[:, inside], offsets, strict=True):
            sums.addcmul_(_range(padded, chunk, offset), weight)
        parts.append(sums)
    return grid.unpad(torch.cat(parts, 1))


def _fused_weights(batch: _Batch, options: _Options) -> Tensor:
    """Return the weights for the fused kernels, ``(B, 1 + P, H, W)``: of the pixel itself first."""
    grid = options.grid
    if batch.embedding is None:
        with torch.no_grad():
            return guided_fused.neighbor_weights(
                batch.image.float(),
                grid.steps,
                _near_weights(options),
                valid=batch.valid,
                color_scale=options.color_scale,
            )
    of_images = []
    for image in batch.images():
        weights, own = _matrix(image, options, torch.float32)
        own = torch.zeros_like(weights[0]) if own is None else own
        of_images.append(grid.unpad(torch.cat([own[None], weights])))
    return torch.stack(of_images).contiguous()


def _near_weights(options: _Options) -> list[float]:
    shares = _near_shares(options.grid.lengths, options.color_scale)
    return [options.position_weight * share for share in shares]


@torch.no_grad()
def _matrix(image: _Batch, options: _Options, dtype: torch.dtype) -> tuple[Tensor, Tensor | None]:
    """Return the rows of A at the grid's places, and its diagonal.

    Returns:
        tuple: ``(P, places)`` weights of the neighbours; and ``(places,)``, 1 for pixels that are
        not valid or have no valid neighbour, else 0, None if all are valid.
    """
    grid, valid, near_weights = options.grid, image.valid, _near_weights(options)
    colors = _pad_known(grid, image.image.to(dtype), valid)
    features = None
    if image.embedding is not None:
        features = _pad_known(grid, image.embedding.to(dtype), valid)
    known = None if valid is None else grid.pad(valid[None].to(dtype))
    places = grid.places
    weights = colors.new_empty(len(near_weights), len(places))
    own = None if known is None else colors.new_zeros(len(places))
    for chunk in grid.chunks(image.image):
        inside = slice(chunk.start - places.start, chunk.stop - places.start)
        rows = weights[:, inside]
        near = None
        if known is not None:
            near = torch.cat([_range(known, chunk, offset) for offset in grid.offsets])
        _color_weights(colors, chunk, grid.offsets, near, options.color_scale, out=rows)
        for index, (row, weight) in enumerate(zip(rows, near_weights, strict=True)):
            row += weight if near is None else weight * near[index]
        if features is not None:
            for row, product in zip(rows, _products(features, chunk, grid.offsets), strict=True):
                row *= F.logsigmoid(product).mul_(options.beta).clamp_min_(_MIN_LOG_FACTOR).exp_()
        if known is None and features is None:
            rows /= 1 + sum(near_weights)
        else:
            total = rows.sum(0)
            rows /= total.where(total > 0, 1)
        if known is not None and own is not None:
            keeps = (_range(known, chunk)[0] == 0) | (total == 0)
            rows.masked_fill_(keeps, 0)
            own[inside] = keeps.to(own)
    return weights, own


def _color_weights(
    colors: Tensor,
    chunk: range,
    offsets: Sequence[int],
    known: Tensor | None,
    color_scale: float,
    *,
    out: Tensor,
) -> None:
    """Write the softmax of the colours' differences to ``out``, ``(P, places of the chunk)``.

    ``known`` is 1 for valid neighbours and 0 for others, ``(P, places of the chunk)``.
    """
    own = _range(colors, chunk)
    neighbors = own.new_full((), len(offsets)) if known is None else known.sum(0)
    # differences from the pixel's own colour keep the variance exact for bright images
    total, squares, difference = (torch.zeros_like(own) for _ in range(3))
    for index, offset in enumerate(offsets):
        torch.sub(_range(colors, chunk, offset), own, out=difference)
        if known is not None:
            difference *= known[index]
        total += difference
        squares.addcmul_(difference, difference)
    variance = (squares - total.square_() / (neighbors + 1)).clamp_min_(0)
    variance /= neighbors.clamp_min(1)
    factor = len(colors) ** -0.5 / (color_scale * variance.sqrt_() + 1e-8)
    for row, offset in zip(out, offsets, strict=True):
        torch.sub(_range(colors, chunk, offset), own, out=difference)
        difference.mul_(factor).square_()
        torch.sum(difference, 0, out=row)
    logits = out.neg_()
    if known is not None:
        logits.masked_fill_(known == 0, -torch.inf)
    out.copy_(logits.softmax(0))
    if known is not None:
        out.masked_fill_(known == 0, 0)  # without a valid neighbour, the softmax is not a number


def _products(features: Tensor, chunk: range, offsets: Sequence[int]) -> Iterator[Tensor]:
    """Yield ``e_i . e_j`` of the places of a chunk and each neighbour."""
    own = _range(features, chunk)
    for offset in offsets:
        yield (own * _range(features, chunk, offset)).sum(0)


def _near_shares(lengths: Sequence[float], scale: float) -> list[float]:
    """Return the softmax of the neighbours' distances, in Python: a GPU would wait for a copy."""
    limit, shortest = scale * statistics.stdev(lengths), min(lengths)
    shares = [math.exp((shortest**2 - length**2) / limit**2) for length in lengths]
    return [share / sum(shares) for share in shares]


def _pad_known(grid: _Grid, maps: Tensor, valid: Tensor | None) -> Tensor:
    """Pad maps; values that are not valid, which may be anything, become 0."""
    return grid.pad(maps if valid is None else maps.where(valid, 0))


def _range(rows: Tensor, chunk: range, offset: int = 0) -> Tensor:
    """Return the values of a chunk's places, or of places at a distance from them; a view."""
    return rows[:, chunk.start + offset : chunk.stop + offset]
