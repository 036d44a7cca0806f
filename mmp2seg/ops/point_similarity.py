"""Similarity of every cell of an image to its points, and prior probabilities made of it.

Dimensions: ``N`` points; ``C`` channels; ``H, W`` cells of a grid; ``B`` background points.
"""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor


def normalize_levels(
    levels: Sequence[Tensor], strides: Sequence[int], xs: Tensor, ys: Tensor, *, block: int = 32
) -> list[Tensor]:
    """Give the feature maps of a backbone one scale and the mean 0 on a grid of positions.

    Each map is divided by the mean length of its vectors, so that no level outweighs another, and
    its mean vector is subtracted: what all pixels share tells none of them apart. Lengths and
    means are those of the interpolated features, as :func:`sample_levels` reads them, because
    interpolation shortens the vectors of a coarse map more.

    Args:
        levels: ``(C_l, H_l, W_l)`` floats, of any sizes.
        strides: pixels per cell of each level.
        xs: ``(W,)`` x positions of the grid in pixels.
        ys: ``(H,)`` y positions.
        block: number of rows of the grid that are read at a time.

    Returns:
        list: maps of the same shapes.
    """
    normalized = []
    for level, stride in zip(levels, strides, strict=True):
        length, total = level.new_zeros(()), level.new_zeros(len(level))
        for start in range(0, len(ys), block):
            part = _sample(level, stride, xs, ys[start : start + block])
            length += part.norm(dim=0).sum()
            total += part.sum((1, 2))
        count = len(xs) * len(ys)
        normalized.append(
            (level - (total / count)[:, None, None]) / (length / count).clamp_min(1e-12)
        )
    return normalized


def sample_levels(
    levels: Sequence[Tensor], strides: Sequence[int], xs: Tensor, ys: Tensor
) -> Tensor:
    """Read feature maps at a grid of positions, bilinearly, as unit vectors.

    Args:
        levels: of :func:`normalize_levels`.
        strides: pixels per cell of each level: cell ``i`` has its centre at ``(i + .5) stride``.
        xs: ``(W,)`` x positions in pixels; positions beyond the outermost cell centres read these.
        ys: ``(H,)`` y positions.

    Returns:
        Tensor: ``(sum C_l, H, W)``, of length 1 along the channels (0 where all levels are 0).
    """
    parts = [_sample(level, stride, xs, ys) for level, stride in zip(levels, strides, strict=True)]
    return F.normalize(torch.cat(parts), dim=0)


def sample_sum(levels: Sequence[Tensor], strides: Sequence[int], xs: Tensor, ys: Tensor) -> Tensor:
    """Read maps of one number of channels at a grid of positions, and sum the levels.

    Args:
        levels: ``(C, H_l, W_l)`` floats.
        strides: pixels per cell of each level.
        xs: ``(W,)`` x positions in pixels.
        ys: ``(H,)`` y positions.

    Returns:
        Tensor: ``(C, H, W)``.
    """
    parts = [_sample(level, stride, xs, ys) for level, stride in zip(levels, strides, strict=True)]
    return torch.stack(parts).sum(0)


def class_unary(
    class_probs: Tensor,
    labels: Tensor,
    points_xy: Tensor,
    positions: Tensor,
    prior: Tensor | None = None,
    *,
    falloff: float,
) -> Tensor:
    """Return the probabilities of points and background from those of the classes.

    The probability of a class is divided among its points by a softmax of their distances to the
    cell, or to where the offset of the cell leads; a point keeps the share ``prior`` of it, and the
    rest goes to the background.

    Args:
        class_probs: ``(K + 1, H, W)``, background first.
        labels: ``(N,)`` integers, classes ``0..K-1``.
        points_xy: ``(N, 2)`` in pixels.
        positions: ``(2, H, W)`` ``(x, y)`` of each cell in pixels.
        prior: ``(N, H, W)`` of :func:`size_prior`; None: a point keeps everything.
        falloff: how much the logarithm of a point's share falls per pixel of distance.

    Returns:
        Tensor: ``(N + 1, H, W)``, background last; each cell sums to 1.
    """
    kept = class_probs.new_zeros(len(labels), *class_probs.shape[1:])
    for label in torch.unique(labels):
        own = labels == label
        steps = positions - points_xy[own][:, :, None, None]  # (n, 2, H, W)
        kept[own] = torch.softmax(-falloff * steps.norm(dim=1), 0) * class_probs[label + 1]
    if prior is not None:
        kept = kept * prior
    return torch.cat([kept, 1 - kept.sum(0, keepdim=True)])


def replace_points(scores: Tensor, others: Tensor, trusted: Tensor) -> Tensor:
    """Take the scores of some points from another source.

    The background's score is that of the sources of the points that a cell has something of.

    Args:
        scores, others: ``(N + 1, H, W)``, background last; each cell sums to 1.
        trusted: ``(N,)`` bool; the other points have the scores of ``others``.

    Returns:
        Tensor: ``(N + 1, H, W)``; each cell sums to 1.
    """
    own = trusted[:, None, None]
    either = scores[:-1] + others[:-1]
    share = (own * either).sum(0) / either.sum(0).clamp_min(1e-12)
    mixed = torch.cat(
        [
            torch.where(own, scores[:-1], others[:-1]),
            torch.lerp(others[-1], scores[-1], share)[None],
        ]
    )
    return mixed / mixed.sum(0).clamp_min(1e-12)


def geometric_mean(first: Tensor, second: Tensor) -> Tensor:
    """Return the normalised geometric mean of two sets of probabilities, ``(N, H, W)``."""
    product = (first * second).clamp_min(0).sqrt()
    return product / product.sum(0).clamp_min(1e-12)


def sample_levels_at(
    levels: Sequence[Tensor], strides: Sequence[int], xs: Tensor, ys: Tensor
) -> Tensor:
    """Read feature maps at single positions, as :func:`sample_levels` does on a grid.

    Args:
        levels, strides: see :func:`sample_levels`.
        xs: ``(N,)`` x positions in pixels.
        ys: ``(N,)`` y positions.

    Returns:
        Tensor: ``(sum C_l, N)``, of length 1 along the channels (0 where all levels are 0).
    """
    parts = [
        _sample_grid(level, stride, torch.stack([xs, ys], -1)[None])[:, 0]
        for level, stride in zip(levels, strides, strict=True)
    ]
    return F.normalize(torch.cat(parts), dim=0)


def feature_lengths(
    levels: Sequence[Tensor], strides: Sequence[int], xs: Tensor, ys: Tensor, *, block: int = 32
) -> Tensor:
    """Return the lengths of the features at a grid of positions before they become unit vectors.

    Args:
        levels, strides, xs, ys: see :func:`sample_levels`.
        block: number of rows of the grid that are read at a time.

    Returns:
        Tensor: ``(H, W)``.
    """
    rows = [levels[0].new_zeros(0, len(xs))]
    for start in range(0, len(ys), block):
        parts = [
            _sample(level, stride, xs, ys[start : start + block]).square().sum(0)
            for level, stride in zip(levels, strides, strict=True)
        ]
        rows.append(torch.stack(parts).sum(0).sqrt())
    return torch.cat(rows)


def cosine_maps(
    features: Tensor,
    levels: Sequence[Tensor],
    strides: Sequence[int],
    xs: Tensor,
    ys: Tensor,
    *,
    lengths: Tensor,
) -> Tensor:
    """Return the cosine of each feature with the image's features at a grid of positions.

    It is the product of ``features`` with :func:`sample_levels`. As interpolation is linear, the
    product is formed on the coarse cells and interpolated, which does not need the image's features
    at every position.

    Args:
        features: ``(N, sum C_l)`` unit vectors of :func:`sample_levels_at`.
        levels, strides, xs, ys: see :func:`sample_levels`.
        lengths: ``(H, W)`` of :func:`feature_lengths` at these positions.

    Returns:
        Tensor: ``(N, H, W)`` in [-1, 1].
    """
    products = features.new_zeros(len(features), len(ys), len(xs))
    if not len(features):
        return products
    channels = [len(level) for level in levels]
    for part, level, stride in zip(
        torch.split(features, channels, 1), levels, strides, strict=True
    ):
        rows, columns = (
            _covered(positions, stride, size)
            for positions, size in zip((ys, xs), level.shape[1:], strict=True)
        )
        coarse = torch.einsum('nc,chw->nhw', part, level[:, rows, columns])
        products += _sample(coarse, stride, xs - columns.start * stride, ys - rows.start * stride)
    return products.div_(lengths.clamp_min(1e-12))


def _covered(positions: Tensor, stride: int, size: int) -> slice:
    """Return the cells of a map that interpolation at ascending positions reads."""
    first = int(positions[0] / stride - 0.5)
    return slice(
        min(max(first, 0), size - 1), min(max(int(positions[-1] / stride + 0.5), 0) + 1, size)
    )


def _sample(level: Tensor, stride: int, xs: Tensor, ys: Tensor) -> Tensor:
    return _sample_grid(level, stride, torch.stack(torch.meshgrid(xs, ys, indexing='xy'), -1))


def _sample_grid(level: Tensor, stride: int, xy: Tensor) -> Tensor:
    """Read ``(C, H, W)`` at ``(h, w, 2)`` positions in pixels: ``(C, h, w)``."""
    height, width = level.shape[1:]
    # grid_sample's frame: -1 .. 1 from border to border
    grid = 2 * xy / xy.new_tensor([stride * width, stride * height]) - 1
    return F.grid_sample(
        level[None], grid[None].to(level), padding_mode='border', align_corners=False
    )[0]


def otsu_threshold(values: npt.NDArray[np.floating]) -> float:
    """Return Otsu's threshold of some values, from a histogram of 256 bins (by OpenCV).

    Args:
        values: floats of any shape, at least one.

    Returns:
        float: values up to it are the lower group. If all values are equal, that value.

    Raises:
        ValueError: there are no values, or one is not finite.
    """
    values = np.asarray(values, dtype=np.float64).ravel()
    if values.size == 0 or not np.isfinite(values).all():
        raise ValueError(f'expected finite values, at least one, got {values.size}')
    low, high = values.min(), values.max()
    if high == low:
        return float(low)
    bins = np.minimum((values - low) * (256 / (high - low)), 255).astype(np.uint8)
    threshold, _ = cv2.threshold(bins[None], 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    return float(low + (threshold + 0.5) * (high - low) / 256)


def size_prior(points_xy: Tensor, radii: Tensor, xs: Tensor, ys: Tensor) -> Tensor:
    """Return how plausible a cell is for a point by its distance r alone, ``exp(-r^2 / 2 R^2)``.

    Args:
        points_xy: ``(N, 2)`` floats in pixels.
        radii: ``(N,)`` R > 0 in pixels.
        xs: ``(W,)`` x positions of the cells in pixels.
        ys: ``(H,)`` y positions.

    Returns:
        Tensor: ``(N, H, W)`` in [0, 1].
    """
    dx = xs - points_xy[:, 0, None]  # (N, W)
    dy = ys - points_xy[:, 1, None]  # (N, H)
    squares = dy.square()[:, :, None] + dx.square()[:, None, :]
    return torch.exp(-squares / (2 * radii.square()[:, None, None]))


def spacing_radii(
    points_xy: Tensor, *, smallest: float, largest: float, factor: float = 1.0
) -> Tensor:
    """Return a radius for each point: the distance to its nearest other point, within limits.

    Args:
        points_xy: ``(N, 2)`` floats in pixels.
        smallest: lower limit of the distance, for clicks side by side.
        largest: upper limit, and the distance of a single point.
        factor: the radius in distances.

    Returns:
        Tensor: ``(N,)``.
    """
    distances = nearest_distances(points_xy)
    return factor * distances.clamp(smallest, max(smallest, largest))


def nearest_distances(points_xy: Tensor, *, block: int = 1024) -> Tensor:
    """Return the distance of each point to the nearest other point; infinite for a single point.

    Args:
        points_xy: ``(N, 2)`` floats.
        block: number of points whose distances to all others are held at a time.

    Returns:
        Tensor: ``(N,)``.
    """
    out = torch.full((len(points_xy),), torch.inf).to(points_xy)
    if len(points_xy) < 2:
        return out
    for start in range(0, len(points_xy), block):
        part = points_xy[start : start + block]
        # exact differences: the fast formula of cdist loses near distances to rounding
        distances = torch.cdist(part, points_xy, compute_mode='donot_use_mm_for_euclid_dist')
        rows = torch.arange(len(part), device=part.device)
        distances[rows, start + rows] = torch.inf
        out[start : start + block] = distances.min(1).values
    return out


def similarity_unary(
    similarity: Tensor,
    prior: Tensor,
    *,
    threshold: float,
    temperature: float = 0.1,
    background: Tensor | None = None,
) -> Tensor:
    """Return the probabilities of points and background from similarities and size priors.

    The points and the background compete by a softmax of ``similarity / temperature``, in which a
    point's share is weighted by its prior, so that a far point takes nothing from a near one of the
    same kind. A point then keeps the share ``prior`` of what it won; the rest goes to the
    background, so that an object has a limited size even on a background like itself.

    Args:
        similarity: ``(N, H, W)`` cosines.
        prior: ``(N, H, W)`` in [0, 1], of :func:`size_prior`.
        threshold: similarity from which on a cell is rather a point's than the background's, such
            as :func:`otsu_threshold` of the maximum over the points.
        temperature: T of the softmax.
        background: ``(B, H, W)`` cosines to clicks on background, or None.

    Returns:
        Tensor: ``(N + 1, H, W)``, background last; each cell sums to 1.
    """
    rivals = similarity.new_full((1, *similarity.shape[1:]), threshold)
    if background is not None and len(background):
        rivals = torch.cat([rivals, background.amax(0, keepdim=True)])
    # relative to the cell's largest, so that a low temperature cannot lose all of them to rounding
    top = rivals.amax(0)
    if len(similarity):
        top = torch.maximum(top, similarity.amax(0))
    points = torch.exp((similarity - top) / temperature) * prior
    rest = torch.exp((rivals - top) / temperature).sum(0)
    total = points.sum(0) + rest
    kept = points / total.clamp_min(torch.finfo(total.dtype).tiny) * prior
    return torch.cat([kept, (1 - kept.sum(0, keepdim=True)).clamp_min(0)])
