"""Convert instance maps and points to offset fields, and read offset fields.

An offset field is ``(2, H, W)`` in ``(dx, dy)`` order: target point minus the pixel's centre, in
pixels of the points' frame. (The released P2Seg code stores ``(dy, dx)``.)
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from mmp2seg.ops.coords import pixel_centers


def offsets_to_points(instance_map: Tensor, points_xy: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the offsets from each pixel's centre to the point of its instance.

    Args:
        instance_map: ``(..., H, W)`` integers, 0 = none, ``n + 1`` = instance of point ``n``.
        points_xy: ``(..., N, 2)`` floats ``(x, y)`` in the map's frame.

    Returns:
        tuple: ``offset`` ``(..., 2, H, W)`` float32, 0 where there is no instance; ``weight``
        ``(..., H, W)`` float32, 1 on instances, 0 elsewhere (the W of the offset loss L_off).
    """
    *lead, height, width = instance_map.shape
    # Column 0 means 'no instance', so that the gather needs no mask.
    table = F.pad(points_xy, (0, 0, 1, 0)).float()  # (..., N + 1, 2)
    index = instance_map.flatten(-2).int()
    if lead:
        step = table.shape[-2]
        table, numbers = table.flatten(0, -2), index.flatten(0, -2)
        index = numbers + step * torch.arange(len(numbers), device=index.device)[:, None]
    # index_select: several times faster than indexing on a CPU
    targets = table.T.contiguous().index_select(1, index.reshape(-1).int())
    targets = targets.view(2, *lead, height, width).movedim(0, -3).contiguous()
    weight = (instance_map > 0).float()
    targets -= pixel_centers(height, width, device=instance_map.device)
    return targets.mul_(weight.unsqueeze(-3)), weight


def landing_positions(offset: Tensor) -> Tensor:
    """Return the position that each pixel's offset points to: its centre plus the offset.

    Args:
        offset: ``(2, H, W)`` or ``(B, 2, H, W)``, ``(dx, dy)`` in pixels of this grid.

    Returns:
        Tensor: float32 of the same shape, ``(x, y)``.
    """
    height, width = offset.shape[-2:]
    return offset.float() + pixel_centers(height, width, device=offset.device)


def offsets_at_points(offset: Tensor, points_xy: Tensor) -> Tensor:
    """Sample an offset field at the points.

    The sampling is bilinear between pixel centres and constant beyond the outermost centres.

    Args:
        offset: ``(2, H, W)`` or ``(B, 2, H, W)``, ``(dx, dy)`` in pixels of this grid.
        points_xy: ``(N, 2)`` or ``(B, N, 2)`` floats ``(x, y)``.

    Returns:
        Tensor: ``(N, 2)`` or ``(B, N, 2)`` float32 ``(dx, dy)``.
    """
    if offset.dim() == 3:
        return offsets_at_points(offset[None], points_xy[None])[0]
    height, width = offset.shape[-2:]
    # not a tensor of the size: to copy it to a GPU, the host waits
    x, y = points_xy.unbind(-1)
    # pixel edges are at -1 and 1: corners not aligned
    grid = (torch.stack([2 * x / width, 2 * y / height], dim=-1) - 1).float()
    sampled = F.grid_sample(
        offset.float(), grid[:, None], padding_mode='border', align_corners=False
    )
    return sampled[:, :, 0].mT  # (B, 2, 1, N) -> (B, N, 2)


def instance_centroids(instance_map: Tensor, num_instances: int) -> Tensor:
    """Return the mean pixel centre of each instance.

    Args:
        instance_map: ``(..., H, W)`` integers, 0 = none, ``1..num_instances``.

    Returns:
        Tensor: ``(..., num_instances, 2)`` float32 ``(x, y)``; nan for an instance without pixels.
    """
    *lead, height, width = instance_map.shape
    flat = instance_map.flatten(-2).long()
    centers = pixel_centers(height, width, device=flat.device).flatten(1).double()
    values = torch.cat([centers, torch.ones_like(centers[:1])])  # (3, H * W)
    index = flat.unsqueeze(-2).expand(*lead, *values.shape)
    # Not bincount: the size of its result depends on the values, so it would synchronise.
    sums = values.new_zeros(*lead, 3, num_instances + 1)
    sums.scatter_add_(-1, index, values.expand_as(index))
    return (sums[..., :2, 1:] / sums[..., 2:, 1:]).mT.float()
