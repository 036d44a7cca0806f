"""Propagation of scores between near pixels of similar colour, at full resolution.

Pixel-adaptive refinement: Ru et al., 'Learning Affinity from Attention' (AFA, CVPR 2022), section
3.4. A pixel takes the weighted mean of its neighbours' scores; the weights compare colours and
distances and sum to 1.

Dimensions: ``N`` score maps; ``H, W`` pixels; ``P`` neighbours, 8 for each dilation.
"""

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def guided_propagation(
    scores: Tensor,
    image: Tensor,
    *,
    iterations: int = 5,
    dilations: Sequence[int] = (1, 2, 4),
    color_scale: float = 0.3,
    position_weight: float = 0.01,
    block: int = 32,
) -> Tensor:
    """Propagate scores along the image: ``iterations`` times, ``S <- A S``.

    ``A[i, j]`` is ``softmax_j(-mean_c ((I_i - I_j) / (color_scale std_i))^2)`` plus
    ``position_weight`` times a softmax of the distance in the same form, both over the 8 neighbours
    at each dilation. ``std_i`` is the standard deviation of a colour channel over the pixel and its
    neighbours. The rows of A are divided by their sum. At the border, the outermost pixel repeats.

    Args:
        scores: ``(N, H, W)`` floats.
        image: ``(C, H, W)`` floats; neither the scale nor the offset of a channel matters. It gets
            no gradient.
        iterations: number of steps; 0 returns the scores.
        dilations: distances to the neighbours, in pixels.
        color_scale: how different the colours of two neighbours may be, in standard deviations.
        position_weight: share of the distance's term.
        block: number of score maps that are propagated at a time. The result does not depend on it.
            Memory is that of ``P + 4 block`` maps.

    Returns:
        Tensor: ``(N, H, W)`` with the dtype of ``scores``. Between the smallest and the largest
        score of the map; if the N scores of each pixel sum to 1, they still do.

    Raises:
        ValueError: sizes differ, there are no dilations, ``iterations`` is negative or ``block`` is
            below 1.
    """
    if scores.dim() != 3 or image.dim() != 3 or scores.shape[1:] != image.shape[1:]:
        raise ValueError(
            'expected scores (N, H, W) and an image (C, H, W) of one size, got '
            f'{tuple(scores.shape)} and {tuple(image.shape)}'
        )
    if not dilations or min(dilations) < 1:
        raise ValueError(f'expected dilations of at least 1, got {tuple(dilations)}')
    if iterations < 0 or block < 1:
        raise ValueError(f'expected iterations >= 0 and a block >= 1, got {iterations} and {block}')
    if iterations == 0 or scores.numel() == 0:
        return scores.clone()
    image = image.detach().to(torch.promote_types(scores.dtype, torch.float32))
    weights = _neighbor_weights(image, dilations, color_scale, position_weight)
    out = torch.empty_like(scores)
    for start in range(0, len(scores), block):
        part = scores[start : start + block].to(image.dtype)
        for _ in range(iterations):
            part = _step(part, weights, dilations)
        out[start : start + block] = part.to(scores.dtype)
    return out


def _neighbor_weights(
    image: Tensor, dilations: Sequence[int], color_scale: float, position_weight: float
) -> Tensor:
    """Return the rows of A, ``(P, H, W)``; they are computed neighbour by neighbour."""
    count = 8 * len(dilations) + 1
    # differences from the pixel's own colour keep the variance exact for bright images
    total, squares, difference = (torch.zeros_like(image) for _ in range(3))
    for neighbor in _neighbors(image, dilations):
        torch.sub(neighbor, image, out=difference)
        total += difference
        squares.addcmul_(difference, difference)
    variance = (squares - total.square() / count).clamp_min(0) / (count - 1)
    factor = len(image) ** -0.5 / (color_scale * variance.sqrt() + 1e-8)
    weights = image.new_zeros(count - 1, *image.shape[1:])
    for index, neighbor in enumerate(_neighbors(image, dilations)):
        torch.sub(neighbor, image, out=difference)
        for channel in difference.mul_(factor):
            weights[index].addcmul_(channel, channel)
    weights = weights.neg_().softmax(0)
    lengths = torch.tensor(
        [
            dilation * (down * down + right * right) ** 0.5
            for dilation in dilations
            for down, right in _STEPS
        ]
    )
    near = -(lengths / (color_scale * lengths.std())).square()
    weights += position_weight * near.softmax(0).to(weights)[:, None, None]
    return weights.div_(1 + position_weight)


_STEPS = tuple((down, right) for down in (-1, 0, 1) for right in (-1, 0, 1) if down or right)


def _neighbors(maps: Tensor, dilations: Sequence[int]) -> Iterator[Tensor]:
    """Yield ``(C, H, W)`` maps of the neighbours' values, one neighbour after the other."""
    height, width = maps.shape[1:]
    for dilation in dilations:
        padded = F.pad(maps[None], (dilation,) * 4, mode='replicate')[0]
        for down, right in _STEPS:
            top, left = dilation * (1 + down), dilation * (1 + right)
            yield padded[:, top : top + height, left : left + width]


def _step(scores: Tensor, weights: Tensor, dilations: Sequence[int]) -> Tensor:
    out = torch.zeros_like(scores)
    for weight, neighbor in zip(weights, _neighbors(scores, dilations), strict=True):
        out.addcmul_(neighbor, weight.expand_as(neighbor))
    return out
