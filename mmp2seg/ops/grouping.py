"""Find the nearest point of each position, without a table of all distances.

P2Seg uses this for distance separation (method, section 1): if a region contains several points
``e_k`` of its class, its pixel ``p`` belongs to point ``k* = argmin_k ||e_k - p||``. The grouping
'points first' applies the same rule to the positions where the predicted offsets land.

Dimensions: ``N`` points; ``T`` tiles of ``S`` pixels; ``G`` groups that have points.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

# Elements of a (positions x points) block of distances: a few kernels of this size keep a GPU busy.
_BLOCK_ELEMENTS = 1 << 25
# Side of a tile in pixels. A smaller tile has fewer candidates; larger tiles need less bookkeeping
# of points x tiles. Measured on maps with sides of 256 to 2048 pixels and 1 to 200 points.
_TILE_SIDE = 32


def nearest_point(
    positions_xy: Tensor,
    points_xy: Tensor,
    *,
    position_groups: Tensor,
    point_groups: Tensor,
    max_distance: float = math.inf,
) -> Tensor:
    """Find the nearest point of the same group for each position.

    Uses :func:`nearest_point_by_tiles` on a CPU, and elsewhere :func:`nearest_point_streamed`,
    which does not synchronise with the device. Both return the same map.

    ``...`` is nothing, or the images of a batch, whose points are padded to one number by points of
    group 0.

    Args:
        positions_xy: ``(..., 2, H, W)`` floats ``(x, y)``: landing positions of offsets; or ``(2,
            H, W)`` for all images, such as pixel centres.
        points_xy: ``(..., N, 2)`` floats ``(x, y)`` in the same frame.
        position_groups: ``(..., H, W)`` integers >= 0; a position of group 0 gets no point.
        point_groups: ``(..., N)`` int64 >= 0; a point is a candidate for the positions of the same
            non-zero group.
        max_distance: points farther away than this are not candidates.

    Returns:
        Tensor: ``(..., H, W)`` int32 instance map, 0 = no candidate, ``n + 1`` = point ``n``. Among
        equally near points, the first wins.
    """
    if points_xy.shape[-2] == 0 or position_groups.numel() == 0:
        return position_groups.new_zeros(position_groups.shape, dtype=torch.int32)
    if positions_xy.device.type != 'cpu':
        return nearest_point_streamed(
            positions_xy,
            points_xy,
            position_groups=position_groups,
            point_groups=point_groups,
            max_distance=max_distance,
        )
    if point_groups.dim() > 1:
        positions_xy = positions_xy.expand(len(points_xy), -1, -1, -1)
        images = zip(positions_xy, points_xy, position_groups, point_groups, strict=True)
        return torch.stack(
            [
                nearest_point(
                    positions,
                    points,
                    position_groups=of_positions,
                    point_groups=of_points,
                    max_distance=max_distance,
                )
                for positions, points, of_positions, of_points in images
            ]
        )
    return nearest_point_by_tiles(
        positions_xy,
        points_xy,
        position_groups=position_groups,
        point_groups=point_groups,
        max_distance=max_distance,
    )


def nearest_point_within(
    positions_xy: Tensor,
    points_xy: Tensor,
    *,
    position_groups: Tensor,
    point_groups: Tensor,
    limited: Tensor,
    limits: Tensor,
    max_distance: float = math.inf,
) -> Tensor:
    """Compute :func:`nearest_point` where some points are candidates for some pixels alone.

    Args:
        positions_xy, points_xy, position_groups, point_groups, max_distance: see
            :func:`nearest_point`.
        limited: ``(L,)`` int64, indices of the limited points, each once.
        limits: ``(L, H, W)`` bool, the pixels of each of them.

    Returns:
        Tensor: ``(H, W)`` int32. Among equally near points, those without a limit win, and then
        the first in ``limited``.
    """
    free = point_groups.index_fill(0, limited, 0)
    instance_map = nearest_point(
        positions_xy,
        points_xy,
        position_groups=position_groups,
        point_groups=free,
        max_distance=max_distance,
    )
    if not len(limited):
        return instance_map
    points = points_xy.float()
    xs, ys = positions_xy.float()
    owners = points[(instance_map.long() - 1).clamp_min(0)]  # (H, W, 2)
    nearest = _squared_distance(xs - owners[..., 0], ys - owners[..., 1])
    nearest = nearest.masked_fill(instance_map == 0, torch.inf)
    for index, limit in zip(limited, limits, strict=True):
        x, y = points[index]
        squared = _squared_distance(xs - x, ys - y)
        group = point_groups[index]
        wins = limit & (position_groups == group) & (group > 0) & (squared < nearest)
        wins &= _within(squared, max_distance)
        nearest = torch.where(wins, squared, nearest)
        instance_map = torch.where(wins, (index + 1).int(), instance_map)
    return instance_map


def nearest_point_streamed(
    positions_xy: Tensor,
    points_xy: Tensor,
    *,
    position_groups: Tensor,
    point_groups: Tensor,
    max_distance: float = math.inf,
    block_elements: int = _BLOCK_ELEMENTS,
) -> Tensor:
    """Compute :func:`nearest_point` by comparing each position with all points.

    Needs at least one point and one pixel, and O(H W N) time. ``block_elements`` limits the number
    of distances in memory at a time; the result does not depend on it.
    """
    xs, ys = positions_xy.float().flatten(-2).unsqueeze(-2).unbind(-3)  # (..., 1, P) each
    groups = position_groups.flatten(-2).unsqueeze(-2)
    point_x, point_y = points_xy.float().unsqueeze(-1).unbind(-2)  # (..., N, 1) each
    # Points without a group get -1, which no position has.
    candidates = torch.where(point_groups == 0, -1, point_groups).unsqueeze(-1)
    instance_map = torch.empty_like(groups.squeeze(-2), dtype=torch.int32)
    step = max(block_elements // candidates.numel(), 1)
    for start in range(0, groups.shape[-1], step):
        block = slice(start, start + step)
        squared = _squared_distance(xs[..., block] - point_x, ys[..., block] - point_y)
        squared.masked_fill_(candidates != groups[..., block], torch.inf)  # (..., N, P)
        nearest, index = squared.min(dim=-2)
        instance_map[..., block] = (index.int() + 1) * _within(nearest, max_distance)
    return instance_map.view(position_groups.shape)


def nearest_point_by_tiles(
    positions_xy: Tensor,
    points_xy: Tensor,
    *,
    position_groups: Tensor,
    point_groups: Tensor,
    max_distance: float = math.inf,
    tile_side: int = _TILE_SIDE,
) -> Tensor:
    """Compute :func:`nearest_point` by comparing each tile of the map with its candidates only.

    Needs at least one point and one pixel. The candidates of a tile are the points that can be
    nearest to one of its positions. They are few, even in an image with many points. The result
    does not depend on ``tile_side``. This function synchronises with the device: it reads the
    numbers of candidates.
    """
    height, width = position_groups.shape
    position_groups, point_groups = _compact_groups(position_groups, point_groups)
    xs, ys = _to_tiles(positions_xy.float(), tile_side, mode='replicate')  # (T, S) each
    groups = _to_tiles(position_groups[None], tile_side)[0]
    points_xy = points_xy.float()
    can_win = _candidates_of_tiles(xs, ys, groups, points_xy, point_groups, max_distance)
    # Sort the tiles by their number of candidates, descending: those with an r-th one come first.
    counts, order = can_win.sum(dim=1).sort(descending=True)
    candidates = can_win[order].byte().argsort(dim=1, descending=True, stable=True)
    tiles_per_rank = torch.bincount(counts).flip(0).cumsum(0).flip(0)[1:].tolist()
    order = order[: max(tiles_per_rank, default=0)]
    xs, ys, groups_of_order = xs[order], ys[order], groups[order]
    nearest = torch.full_like(xs, torch.inf)
    winner = torch.zeros_like(groups_of_order)
    for rank, num_tiles in enumerate(tiles_per_rank):
        first = slice(num_tiles)
        index = candidates[first, rank, None]  # (T', 1)
        squared = _squared_distance(
            xs[first] - points_xy[index, 0], ys[first] - points_xy[index, 1]
        )
        wins = (squared < nearest[first]) & (groups_of_order[first] == point_groups[index])
        torch.where(wins, squared, nearest[first], out=nearest[first])
        torch.where(wins, index.int() + 1, winner[first], out=winner[first])
    winner *= _within(nearest, max_distance)
    instance_map = torch.zeros_like(groups).index_copy_(0, order, winner)
    return _from_tiles(instance_map, tile_side, height, width)


def _squared_distance(dx: Tensor, dy: Tensor) -> Tensor:
    """Return ``dx ** 2 + dy ** 2``; overwrites ``dx`` and ``dy``."""
    return dx.square_().add_(dy.square_())


def _within(squared_distance: Tensor, max_distance: float) -> Tensor:
    """Return where a distance is finite and at most ``max_distance``."""
    if math.isinf(max_distance):
        return squared_distance < torch.inf
    return squared_distance <= max_distance**2


def _compact_groups(position_groups: Tensor, point_groups: Tensor) -> tuple[Tensor, Tensor]:
    """Renumber the groups to ``1..G``; return int32 position groups and int64 point groups.

    A position whose group has no point gets 0. A point without a group gets a number that no
    position has.
    """
    known, compact = torch.unique(point_groups, return_inverse=True)
    largest = max(int(position_groups.max()), int(known[-1]))
    numbers = torch.zeros(largest + 1, dtype=torch.int32, device=known.device)
    numbers[known] = torch.arange(1, len(known) + 1, dtype=torch.int32, device=known.device)
    numbers[0] = 0
    flat = numbers.index_select(0, position_groups.reshape(-1).int())
    return flat.view(position_groups.shape), compact + 1


def _candidates_of_tiles(
    xs: Tensor,
    ys: Tensor,
    groups: Tensor,
    points_xy: Tensor,
    point_groups: Tensor,
    max_distance: float,
) -> Tensor:
    """Return which points can be nearest to a position of each tile, ``(T, N)`` bool.

    A point is ruled out for a tile if the tile has no position of its group, if the bounding box of
    the tile's positions is farther away than ``max_distance``, or if the point is farther from the
    box than another point of its group is from the box's farthest corner. Rounding does not affect
    this test, because differences, squares and sums of floats are monotonic.

    Args:
        xs, ys, groups: ``(T, S)`` positions and their groups, 0 = none.
        points_xy, point_groups: ``(N, 2)``; ``(N,)`` >= 1.
        max_distance: see :func:`nearest_point`.
    """
    table = (xs.shape[0], int(point_groups.max()) + 1)
    present = torch.zeros(table, dtype=torch.bool, device=xs.device)
    present.scatter_(1, groups.long(), True)
    lowest = torch.stack([xs.amin(dim=1), ys.amin(dim=1)])[..., None]  # (2, T, 1)
    highest = torch.stack([xs.amax(dim=1), ys.amax(dim=1)])[..., None]
    points = points_xy.T[:, None]  # (2, 1, N)
    gap = torch.maximum(lowest - points, points - highest).clamp_(min=0)
    at_least = _squared_distance(*gap)  # (T, N)
    at_most = _squared_distance(*torch.maximum(highest - points, points - lowest))
    bound = torch.full(table, torch.inf, device=xs.device).scatter_reduce_(
        1, point_groups.expand(at_most.shape), at_most, 'amin'
    )
    can_win = present[:, point_groups] & (at_least <= bound[:, point_groups])
    return can_win & _within(at_least, max_distance)


def _to_tiles(maps: Tensor, side: int, *, mode: str = 'constant') -> Tensor:
    """Split ``(C, H, W)`` maps into tiles ``(C, T, S)``, padded with zeros or by ``mode``."""
    height, width = maps.shape[1:]
    padded = F.pad(maps, (0, -width % side, 0, -height % side), mode=mode)
    # (C, H', W') -> (C, rows, columns, side, side) -> (C, T, S)
    return padded.unfold(1, side, side).unfold(2, side, side).reshape(len(maps), -1, side * side)


def _from_tiles(tiles: Tensor, side: int, height: int, width: int) -> Tensor:
    """Join tiles ``(T, S)`` to a contiguous map ``(H, W)``, without the padding."""
    rows, columns = -(-height // side), -(-width // side)
    # (T, S) -> (rows, side, columns, side) -> (H', W')
    whole = tiles.view(rows, columns, side, side).transpose(1, 2).reshape(rows * side, -1)
    return whole[:height, :width].contiguous()
