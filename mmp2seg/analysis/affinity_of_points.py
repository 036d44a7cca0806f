"""The affinity of single points to all pixels, and how well it tells instances apart.

Dimensions: ``D`` embedding channels; ``h, w`` cells of the embedding's grid; ``N`` points; ``M``
instances.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

# What a cell can be to a point, see mean_affinity_by_relation.
RELATIONS = ('own instance', 'same class', 'other classes', 'background')


def cells_of_points(points_xy: Tensor, *, size: tuple[int, int], grid: tuple[int, int]) -> Tensor:
    """Cell of a coarser grid that holds each point.

    Args:
        points_xy: ``(N, 2)`` floats inside of the frame, ``(x, y)``.
        size: ``(H, W)`` of the points' frame, which the grid covers.
        grid: ``(h, w)``.

    Returns:
        Tensor: ``(N, 2)`` int64, ``(row, col)``.
    """
    cells_per_pixel = points_xy.new_tensor([grid[0] / size[0], grid[1] / size[1]])
    cells = (points_xy.flip(1) * cells_per_pixel).floor().long()
    return torch.minimum(cells, cells.new_tensor(grid) - 1)  # against rounding at the far border


def affinity_of_cells(embedding: Tensor, cells: Tensor) -> Tensor:
    """Rows ``sigmoid(e_p . e_j)`` of the affinity, before any power, threshold or radius.

    Args:
        embedding: ``(D, h, w)`` floats.
        cells: ``(N, 2)`` int64, ``(row, col)``.

    Returns:
        Tensor: ``(N, h, w)`` float32 in [0, 1].
    """
    embedding = embedding.float()
    rows, cols = cells.unbind(1)
    return torch.einsum('dn,dhw->nhw', embedding[:, rows, cols], embedding).sigmoid()


def mean_affinity_by_relation(
    affinity: Tensor, owners: Tensor, instance_map: Tensor, instance_labels: Tensor
) -> dict[str, float]:
    """Mean affinity of an image's points to the cells of their own instance and to all others.

    The mean is taken over the cells of a point first, then over the points, so that a large object
    counts as much as a small one. A point's own cell belongs to its instance.

    Args:
        affinity: ``(N, h, w)`` floats, of :func:`affinity_of_cells`.
        owners: ``(N,)`` integers, the instance 1..M of each point; 0 = none, the point is left out.
        instance_map: ``(h, w)`` integers, 0 background, 1..M, negative ignored.
        instance_labels: ``(M,)`` integers, the class of each instance.

    Returns:
        dict: a mean for each of ``RELATIONS``; nan where no point has such a cell.
    """
    owners = owners.long()
    affinity, owners = affinity[owners > 0].flatten(1).double(), owners[owners > 0]
    cells = instance_map.flatten().long()
    classes = F.pad(instance_labels.long(), (1, 0), value=-1)  # by instance, background first
    own = cells == owners[:, None]  # (N, h * w)
    same_class = classes[cells.clamp(min=0)] == classes[owners][:, None]
    relations = (
        own,
        same_class & ~own,
        (cells > 0) & ~same_class,
        (cells == 0).expand_as(own),
    )
    means = [(affinity * cell).sum(dim=1) / cell.sum(dim=1) for cell in relations]
    return {name: float(mean.nanmean()) for name, mean in zip(RELATIONS, means, strict=True)}
