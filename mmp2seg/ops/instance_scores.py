"""Instance scores: how likely a pixel belongs to each of the image's points, or to none.

They are what the rounds of mutual distillation exchange. Semantic scores and offsets give instance
scores (S2I, semantic to instance); an affinity propagates them; their sums per class are semantic
scores again (I2S, instance to semantic).

Dimensions: ``N`` points; ``V`` semantic values of the image, background first; ``H, W`` pixels.
Instance scores are ``(N + 1, H, W)``, background last; they are at least 0. ``...`` is nothing, or
the images of a batch, whose points are padded to one number with points far outside of the frame,
of channel 0.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

# Probabilities are kept off 0 and 1 by this before a logarithm.
_SMALLEST = 1e-4


def instance_scores(
    probs: Tensor, landing_xy: Tensor, anchors_xy: Tensor, channels: Tensor, *, sigma: float
) -> Tensor:
    """Divide each class's probability among its points, by the distance to where a pixel lands.

    ``I_n(p) = P_c(n)(p) softmax_m(-|landing(p) - anchor_m|^2 / (2 sigma^2))_n`` over the points m
    of the class c(n) of point n. As sigma goes to 0, the nearest point takes all. The background's
    score is its probability.

    Args:
        probs: ``(..., V, H, W)`` floats, background first.
        landing_xy: ``(..., 2, H, W)`` floats, where the offset of each pixel lands.
        anchors_xy: ``(..., N, 2)`` floats, the position of each point that landings are compared
            with.
        channels: ``(..., N)`` int64, the channel of ``probs`` of each point's class.
        sigma: in pixels, above 0.

    Returns:
        Tensor: ``(..., N + 1, H, W)`` float32, background last. Its sum per pixel is that of the
        background and of the classes that have points.
    """
    *lead, num_values, height, width = probs.shape
    num_points = anchors_xy.shape[-2]
    scores = probs.new_zeros(*lead, num_points + 1, height, width, dtype=torch.float32)
    scores[..., -1, :, :] = probs[..., 0, :, :]
    if num_points == 0:
        return scores
    xs, ys = (landing_xy[..., axis, None, :, :] for axis in range(2))
    squared = (xs - anchors_xy[..., 0, None, None]).float().square_()
    squared += (ys - anchors_xy[..., 1, None, None]).square()  # (..., N, H, W)
    logits = squared.mul_(-0.5 / sigma**2)
    for channel in range(1, num_values):
        # a mask and not a selection of the points: their number is on the device
        others = (channels != channel)[..., None, None]
        shares = logits.masked_fill(others, -torch.inf).softmax(-3)
        # nan: the class has no points
        scores[..., :-1, :, :] += shares.nan_to_num_() * probs[..., channel, None, :, :]
    return scores


def near_points(
    landing_xy: Tensor, anchors_xy: Tensor, channels: Tensor, *, sigma: float, negligible: float
) -> Tensor:
    """Find the points that can have a share of some pixels' class that is not negligible.

    A point is left out if even its nearest landing is so much farther than the farthest landing of
    another point of its class that its share is below ``negligible`` everywhere.

    Args:
        landing_xy: ``(2, H, W)`` floats, with at least one pixel.
        anchors_xy, channels, sigma: see :func:`instance_scores`.
        negligible: a share, above 0.

    Returns:
        Tensor: ``(N,)`` bool.
    """
    if len(anchors_xy) == 0:
        return channels == channels
    low, high = landing_xy.amin((1, 2)), landing_xy.amax((1, 2))
    nearest = torch.maximum(low - anchors_xy, anchors_xy - high).clamp_min(0).square().sum(1)
    farthest = torch.maximum(high - anchors_xy, anchors_xy - low).square().sum(1)
    same_class = channels[:, None] == channels
    bound = farthest.masked_fill(~same_class, torch.inf).amin(1)  # of the class's best point
    return nearest - bound <= -2 * sigma**2 * math.log(negligible)


def with_click_affinities(scores: Tensor, affinities: Tensor, *, weight: float) -> Tensor:
    """Combine instance scores with the affinity of each pixel to each click.

    A pixel that is like no click is background, with ``Q_0 = prod_n (1 - A_n)``; the rest is
    divided by the affinities, ``Q_n = (1 - Q_0) A_n / sum_m A_m``. The result is the normalised
    geometric mean of the scores and Q, with the share ``weight`` of Q. So a click whose pixel has
    the wrong class keeps what is like it.

    Args:
        scores: ``(N + 1, H, W)`` floats, background last.
        affinities: ``(N, H, W)`` floats in [0, 1], such as the rows A(p_n, .) of the pairwise
            affinity.
        weight: in [0, 1].

    Returns:
        Tensor: ``(N + 1, H, W)`` float32; each pixel sums to 1.
    """
    affinities = affinities.float().clamp(_SMALLEST, 1 - _SMALLEST)
    background = (1 - affinities).log().sum(0)  # log Q_0
    rest = torch.log1p(-background.exp()) - affinities.sum(0).log()
    likeness = torch.cat([affinities.log() + rest, background[None]])
    logits = scores.float().clamp_min(_SMALLEST**2).log()
    return torch.lerp(logits, likeness, weight).softmax(0)


def fix_clicks(scores: Tensor, points_xy: Tensor, *, radius: float) -> tuple[Tensor, Tensor]:
    """Give each point the pixels of a small disc around it.

    A pixel near several points belongs to the nearest one, and to the first one of equally near
    points. The pixel that contains a point counts as nearest to it, so that it is always fixed.

    Args:
        scores: ``(..., N + 1, H, W)`` floats, background last.
        points_xy: ``(..., N, 2)`` floats; points outside the frame have a disc too.
        radius: largest distance of a pixel's centre from the point, in pixels; with 0 only the
            pixel that contains the point.

    Returns:
        tuple: scores that are 1 for the point and 0 for all else at these pixels, and ``(..., H,
        W)`` bool, these pixels.
    """
    *lead, _, height, width = scores.shape
    num_points = points_xy.shape[-2]
    if num_points == 0:
        return scores.clone(), scores.new_zeros(*lead, height, width, dtype=torch.bool)
    columns, rows, squared = _disc(points_xy, radius)  # (..., N, S * S) each
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    index = (rows * width + columns).where(inside, 0).flatten(-2)
    squared = squared.masked_fill(~inside, torch.inf).flatten(-2).float()
    nearest = scores.new_full((*lead, height * width), torch.inf, dtype=torch.float32)
    nearest.scatter_reduce_(-1, index, squared, 'amin')
    owners = torch.arange(num_points, device=scores.device).repeat_interleave(columns.shape[-1])
    wins = squared.isfinite() & (squared == nearest.gather(-1, index))
    owner = torch.full_like(nearest, num_points, dtype=torch.int64)
    owner.scatter_reduce_(-1, index, owners.where(wins, num_points), 'amin')
    fixed = (owner < num_points).view(*lead, height, width)
    one_hot = torch.zeros_like(scores).scatter_(-3, owner.view(*lead, 1, height, width), 1)
    return torch.where(fixed.unsqueeze(-3), one_hot, scores), fixed


def _disc(points_xy: Tensor, radius: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return column, row and squared distance of the pixels around points; inf outside the disc.

    The distance of the pixel that contains the point is 0.
    """
    reach = math.ceil(radius)
    side = torch.arange(-reach, reach + 1, device=points_xy.device, dtype=points_xy.dtype)
    steps = torch.stack([side.repeat(len(side)), side.repeat_interleave(len(side))], -1)
    pixels = points_xy.floor().unsqueeze(-2) + steps  # (..., N, S * S, 2)
    squared = (pixels + 0.5 - points_xy.unsqueeze(-2)).square_().sum(-1)
    squared.masked_fill_(squared > radius**2, torch.inf)
    squared[..., len(steps) // 2] = 0
    columns, rows = pixels.long().unbind(-1)
    return columns, rows, squared


def class_scores(scores: Tensor, channels: Tensor, num_values: int) -> Tensor:
    """Return the sum of the instance scores of each semantic value, ``(..., V, H, W)``.

    Args:
        scores: ``(..., N + 1, H, W)`` floats, background last.
        channels: ``(..., N)`` int64 in ``1..num_values - 1``; 0 for padding.
        num_values: V.
    """
    channels = F.pad(channels, (0, 1))  # of the background
    if channels.dim() == 1:
        sums = scores.new_zeros(num_values, *scores.shape[1:])
        return sums.index_add_(0, channels, scores)
    parts = [
        scores.where((channels == value)[..., None, None], 0).sum(-3) for value in range(num_values)
    ]
    return torch.stack(parts, -3)


def best_instances(
    scores: Tensor, channels: Tensor, num_values: int, *, sums: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the instance of each pixel: the most likely value first, then its best point.

    Args:
        scores, channels, num_values: see :func:`class_scores`.
        sums: what :func:`class_scores` returns for them, if it is known.

    Returns:
        tuple: ``(..., H, W)`` int32 instance map, 0 none, ``n + 1`` point ``n``; ``(..., H, W)``
        int64 channel of the value; ``(..., H, W)`` the value's score.
    """
    sums = class_scores(scores, channels, num_values) if sums is None else sums
    best, channel = sums.max(-3)
    if channels.shape[-1] == 0:
        return torch.zeros_like(channel, dtype=torch.int32), channel, best
    of_value = channels[..., None, None] == channel.unsqueeze(-3)
    # not argmax, which is ten times as slow on a CPU
    owner = scores[..., :-1, :, :].masked_fill(~of_value, -1).max(-3).indices
    return ((owner + 1) * (channel > 0)).int(), channel, best
