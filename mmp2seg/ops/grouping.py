"""Nearest point per position: the distance separation of P2Seg, streamed.

Distance separation (method, section 1): a pixel ``p`` of a region that holds several points of its
class belongs to ``k* = argmin_k ||e_k - p||``. The same rule on the positions where the predicted
offsets land gives the grouping 'points first'.
"""

import torch
from torch import Tensor

# Elements of the (positions x points) distance block: small enough for a CPU's cache, large
# enough to keep a GPU busy with a few kernels.
_BLOCK_ELEMENTS = {'cpu': 1 << 17, 'other': 1 << 25}


def nearest_point(
    positions_xy: Tensor,
    points_xy: Tensor,
    *,
    position_groups: Tensor,
    point_groups: Tensor,
    block_elements: int | None = None,
) -> tuple[Tensor, Tensor]:
    """For every position the nearest point of its own group.

    All points are compared at once, over blocks of positions; the result does not depend on the
    block size. No value is read back from the device.

    Args:
        positions_xy: ``(2, H, W)`` floats ``(x, y)``: pixel centres, or where offsets land.
        points_xy: ``(N, 2)`` floats ``(x, y)`` in the same frame.
        position_groups: ``(H, W)`` integers; 0 = belongs to no point.
        point_groups: ``(N,)`` integers; a point is a candidate for the positions of an equal
            non-zero group.
        block_elements: positions times points that are held at a time.

    Returns:
        tuple: ``instance_map`` ``(H, W)`` int32, 0 = no candidate, ``n + 1`` = point ``n`` (the
        first of equally near ones); ``distance`` ``(H, W)`` float32, inf where there is none.
    """
    height, width = position_groups.shape
    device = positions_xy.device
    num_points, num_positions = points_xy.shape[0], height * width
    instance_map = torch.zeros(num_positions, dtype=torch.int32, device=device)
    squared_distance = torch.full((num_positions,), torch.inf, device=device)
    if num_points == 0 or num_positions == 0:
        return instance_map.view(height, width), squared_distance.view(height, width)

    if block_elements is None:
        block_elements = _BLOCK_ELEMENTS['cpu' if device.type == 'cpu' else 'other']
    step = max(block_elements // num_points, 1)
    xs, ys = positions_xy.reshape(2, -1).float()
    groups = position_groups.reshape(-1)
    point_x, point_y = points_xy.float().T[..., None]  # (N, 1) each
    # A group of their own for points without one: it equals no position's.
    candidates = torch.where(point_groups == 0, -1, point_groups)[:, None]
    for start in range(0, num_positions, step):
        block = slice(start, start + step)
        squared = (xs[block] - point_x).square_().add_((ys[block] - point_y).square_())  # (N, P)
        squared.masked_fill_(candidates != groups[block], torch.inf)
        squared_distance[block], index = squared.min(dim=0)
        instance_map[block] = index.int() + 1
    instance_map.masked_fill_(squared_distance == torch.inf, 0)
    return instance_map.view(height, width), squared_distance.sqrt_().view(height, width)
