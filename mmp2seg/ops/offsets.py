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
        instance_map: ``(H, W)`` integers, 0 = none, ``n + 1`` = instance of point ``n``.
        points_xy: ``(N, 2)`` floats ``(x, y)`` in the map's frame.

    Returns:
        tuple: ``offset`` ``(2, H, W)`` float32, 0 where there is no instance; ``weight``
        ``(H, W)`` float32, 1 on instances, 0 elsewhere (the W of the offset loss L_off).
    """
    height, width = instance_map.shape
    # Column 0 means 'no instance', so that the gather needs no mask.
    table = torch.cat([points_xy.new_zeros(1, 2), points_xy]).float().T.contiguous()
    # index_select: several times faster than indexing on a CPU
    targets = table.index_select(1, instance_map.reshape(-1).int()).view(2, height, width)
    weight = (instance_map > 0).float()
    targets -= pixel_centers(height, width, device=instance_map.device)
    return targets.mul_(weight), weight


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
        offset: ``(2, H, W)`` ``(dx, dy)`` in pixels of this grid.
        points_xy: ``(N, 2)`` floats ``(x, y)``.

    Returns:
        Tensor: ``(N, 2)`` float32 ``(dx, dy)``.
    """
    height, width = offset.shape[1:]
    # not a tensor of the size: to copy it to a GPU, the host waits
    x, y = points_xy.unbind(1)
    # pixel edges are at -1 and 1: corners not aligned
    grid = (torch.stack([2 * x / width, 2 * y / height], dim=1) - 1).float()
    sampled = F.grid_sample(
        offset[None].float(), grid[None, None], padding_mode='border', align_corners=False
    )
    return sampled[0, :, 0].T  # (1, 2, 1, N) -> (N, 2)


def instance_centroids(instance_map: Tensor, num_instances: int) -> Tensor:
    """Return the mean pixel centre of each instance.

    Args:
        instance_map: ``(H, W)`` integers, 0 = none, ``1..num_instances``.

    Returns:
        Tensor: ``(num_instances, 2)`` float32 ``(x, y)``; nan for an instance without pixels.
    """
    height, width = instance_map.shape
    flat = instance_map.reshape(-1).long()
    centers = pixel_centers(height, width, device=flat.device).reshape(2, -1).double()
    sums = centers.new_zeros(2, num_instances + 1).index_add_(1, flat, centers)
    # Not bincount: the size of its result depends on the values, so it would synchronise.
    counts = centers.new_zeros(num_instances + 1).index_add_(0, flat, torch.ones_like(centers[0]))
    return (sums / counts)[:, 1:].T.float()
