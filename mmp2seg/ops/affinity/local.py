"""Propagation of scores by the learned affinity of near cells, with a gradient.

I2S (instance to semantic) with pairs within a radius only, ``S = A^(o beta) * C``: a loss of S
trains the affinity. :func:`mmp2seg.ops.affinity.propagate` has no gradient, and takes all pairs.

Dimensions: ``B`` images, ``D`` channels of the embedding, ``V`` score maps, ``h, w`` cells.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def local_propagation(
    embedding: Tensor,
    scores: Tensor,
    *,
    radius: float,
    beta: float = 1.0,
    valid: Tensor | None = None,
) -> Tensor:
    """Propagate scores between near cells; the rows of the affinity are normalised to sum 1.

    Every cell gets the mean of the scores of itself and of the cells at most ``radius`` away,
    weighted by ``A_ij^beta = sigmoid(e_i . e_j)^beta``. So probabilities remain probabilities, and
    a constant map remains constant. Time grows with the number of cells and with ``radius^2``, and
    memory with the number of cells times ``radius^2``, but not times D or V.

    Args:
        embedding: ``(B, D, h, w)`` floats; gets a gradient.
        scores: ``(B, V, h, w)`` floats; get a gradient.
        radius: largest distance of two cells, in cells, at least 0.
        beta: Hadamard power, above 0.
        valid: ``(B, h, w)`` bool, the cells whose scores are used; all by default.

    Returns:
        Tensor: ``(B, V, h, w)`` float32 (float64 for float64), also under autocast. A cell without
        a valid cell in its radius gets 0.

    Raises:
        ValueError: the grids differ, ``radius`` is negative or ``beta`` is not positive.
    """
    if embedding.shape[0] != scores.shape[0] or embedding.shape[2:] != scores.shape[2:]:
        raise ValueError(
            f'expected scores on the grid of the embedding, got {tuple(scores.shape)} for '
            f'{tuple(embedding.shape)}'
        )
    if radius < 0 or not beta > 0:
        raise ValueError(f'expected radius >= 0 and beta > 0, got {radius} and {beta}')
    with torch.autocast(embedding.device.type, enabled=False):
        dtype = torch.promote_types(embedding.dtype, torch.float32)
        embedding, scores = embedding.to(dtype), scores.to(dtype)
        known = torch.ones_like(scores[:, :1]) if valid is None else valid[:, None].to(dtype)
        # one more map, of ones: its result is the sum of the weights
        values = torch.cat([scores if valid is None else scores * known, known], dim=1)
        sums = values * _weights(embedding, embedding, beta)
        for down, right in _half_disc(radius, *embedding.shape[2:]):
            (first, second), (values_1, values_2) = (
                _shifted(maps, down, right) for maps in (embedding, values)
            )
            weights = _weights(first, second, beta)  # symmetric: of both directions
            columns = (max(-right, 0), max(right, 0))  # padding of the first cells of the pairs
            sums = sums + F.pad(values_2 * weights, (*columns, 0, down))
            sums = sums + F.pad(values_1 * weights, (*columns[::-1], down, 0))
        total = sums[:, -1:]
        return sums[:, :-1] / total.where(total > 0, 1)


def _weights(first: Tensor, second: Tensor, beta: float) -> Tensor:
    """Return the affinities of pairs of cells, ``(B, 1, h, w)``."""
    affinities = (first * second).sum(1, keepdim=True).sigmoid()
    return affinities if beta == 1 else affinities**beta


def _half_disc(radius: float, height: int, width: int) -> list[tuple[int, int]]:
    """Return the steps to one of each two opposite neighbours, rows down and columns right."""
    reach = math.floor(radius)
    return [
        (down, right)
        for down in range(min(reach, height - 1) + 1)
        for right in range(-min(reach, width - 1), min(reach, width - 1) + 1)
        if (down, right) > (0, 0) and math.hypot(down, right) <= radius
    ]


def _shifted(maps: Tensor, down: int, right: int) -> tuple[Tensor, Tensor]:
    """Return the cells that have a neighbour at this step, and these neighbours; views."""
    height, width = maps.shape[2:]
    left = max(-right, 0), width - max(right, 0)
    first = maps[:, :, : height - down, left[0] : left[1]]
    return first, maps[:, :, down:, left[0] + right : left[1] + right]
