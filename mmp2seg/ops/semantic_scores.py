"""Compute the scores of an image's classes per pixel, from logits or from a weak semantic map.

A network may have 80 classes, but the points of an image belong to a few of them. Only the channels
of these classes and of the background are kept. Their semantic values are ``0`` for background and
``k + 1`` for class ``k``.

Dimensions: ``B`` images; ``K`` classes of the network; ``V`` values of an image; ``h, w`` cells of
a coarse grid; ``H, W`` pixels.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

# Number of channels that are upsampled at a time; VOC's 21 fit into one chunk.
_CHUNK = 32


def image_values(labels: Tensor) -> Tensor:
    """Return the semantic values that an image can have: background and its points' classes.

    Args:
        labels: ``(N,)`` int64, the class ``0..K-1`` of each point; repeats allowed.

    Returns:
        Tensor: ``(V,)`` int64, ascending, ``0`` first; ``[0]`` without points.
    """
    return torch.cat([labels.new_zeros(1), torch.unique(labels) + 1])


def resize_scores(values: Tensor, size: tuple[int, int], *, align_corners: bool = False) -> Tensor:
    """Resize ``(B, C, h, w)`` floats bilinearly to ``(B, C, *size)``; no copy if sizes agree."""
    if tuple(values.shape[-2:]) == tuple(size):
        return values
    return F.interpolate(values, size=size, mode='bilinear', align_corners=align_corners)


def value_probs(
    logits: Tensor,
    values: Tensor,
    size: tuple[int, int],
    *,
    align_corners: bool = False,
    chunk: int = _CHUNK,
) -> Tensor:
    """Upsample logits and return the probabilities of some of their K + 1 values.

    The softmax is computed over all K + 1 upsampled channels. With many classes, the channels are
    upsampled in chunks, so that the memory grows with V and not with K.

    Args:
        logits: ``(B, K + 1, h, w)`` floats.
        values: ``(V,)`` int64 channels to return, or ``(B, V)`` of each image, padded with -1,
            whose probability is 0.
        size: ``(H, W)``.
        align_corners: option of the upsampling.
        chunk: number of channels that are upsampled at a time; changes only rounding.

    Returns:
        Tensor: ``(B, V, H, W)`` float32.
    """

    def upsample(part: Tensor) -> Tensor:
        return resize_scores(part.float(), size, align_corners=align_corners)

    if logits.shape[1] <= chunk:
        return _channels(upsample(logits).softmax(dim=1), values)
    total = torch.full((), -torch.inf, device=logits.device)
    for part in torch.split(logits, chunk, dim=1):
        total = torch.logaddexp(total, upsample(part).logsumexp(dim=1, keepdim=True))
    probs = upsample(_channels(logits, values)).sub_(total).exp_()
    return probs if values.dim() == 1 else probs.masked_fill_((values < 0)[..., None, None], 0)


def _channels(maps: Tensor, values: Tensor) -> Tensor:
    """Select channels of ``(B, C, H, W)`` maps; those of padding are 0."""
    if values.dim() == 1:
        return maps.index_select(1, values)
    index = values.clamp(min=0)[..., None, None]
    selected = maps.gather(1, index.expand(-1, -1, *maps.shape[2:]))
    return selected.masked_fill_((values < 0)[..., None, None], 0)


def map_shares(
    semantic_map: Tensor, values: Tensor, ignored: Tensor, grid: tuple[int, int]
) -> Tensor:
    """Compute the share of each value in the labelled pixels of each cell.

    Args:
        semantic_map: ``(B, H, W)`` integers, 0 background, ``k + 1`` class ``k``.
        values: ``(V,)`` int64 values, or ``(B, V)`` of each image, padded with -1.
        ignored: ``(B, H, W)`` bool, the pixels that are not counted.
        grid: ``(h, w)``; the map is pooled adaptively where its side is no multiple of the grid's.

    Returns:
        Tensor: ``(B, V, h, w)`` float32; zeros in a cell without a labelled pixel. The shares of a
        cell add up to less than 1 if the map has values there that are not in ``values``.
    """
    labelled = ~ignored[:, None]
    matches = (semantic_map[:, None] == values[..., None, None]) & labelled  # (B, V, H, W)
    if tuple(semantic_map.shape[-2:]) == tuple(grid):
        return matches.float()
    shares = F.interpolate(matches.float(), size=grid, mode='area')
    return shares / F.interpolate(labelled.float(), size=grid, mode='area').clamp(min=1e-6)


def add_coarse_change(
    probs: Tensor, before: Tensor, after: Tensor, *, align_corners: bool = False
) -> Tensor:
    """Add the change that a step on a coarser grid made to full-resolution probabilities.

    Args:
        probs: ``(B, V, H, W)`` floats.
        before, after: ``(B, V, h, w)`` floats, the scores on the grid before and after the step.
        align_corners: option of the upsampling.

    Returns:
        Tensor: ``(B, V, H, W)``; can be slightly negative because of rounding.
    """
    size = (probs.shape[-2], probs.shape[-1])
    return probs + resize_scores(after - before, size, align_corners=align_corners)


def argmax_map(scores: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Return the most likely value of each pixel, and its score.

    Args:
        scores: ``(V, H, W)`` floats.
        values: ``(V,)`` int64, the semantic value of each channel, ascending.

    Returns:
        tuple: ``(H, W)`` int64 semantic map, with the lowest value where scores are equal; and
        ``(H, W)`` float32 score.
    """
    best, index = scores.float().max(dim=0)
    return values.take(index), best
