"""Inspect the affinity of a trained network on one image.

Dimensions: ``D`` embedding channels; ``h, w`` cells of the embedding's grid; ``N`` points; ``M``
instances. ``S`` are semantic scores propagated by the affinity, as in the paper.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from mmdet.structures import DetDataSample
from mmengine.dataset import pseudo_collate
from torch import Tensor

from mmp2seg.apis.arguments import CommandError
from mmp2seg.models.data_preprocessor import pad_pixel_fields
from mmp2seg.models.detectors import P2Seg
from mmp2seg.ops.affinity import IGNORED
from mmp2seg.ops.components import IGNORE
from mmp2seg.ops.coords import points_inside, points_to_pixels
from mmp2seg.ops.masks import masks_to_instance_map
from mmp2seg.ops.semantic_scores import argmax_map, image_values

TrueInstances = tuple[np.ndarray, np.ndarray]
# Relations of a cell to a point, see mean_affinity_by_relation.
RELATIONS = ('own instance', 'same class', 'other classes', 'background')


@dataclass
class AffinityView:
    """The affinity of an image's points, in the frame of the network's input without padding.

    Attributes:
        img_path: the image file.
        size: ``(H, W)`` of the frame.
        padded_size: ``(H, W)`` with padding, which the grid of cells covers.
        points_xy: ``(N, 2)`` float32, the points inside the image.
        labels: ``(N,)`` int64, classes of the points.
        cells: ``(N, 2)`` int64, ``(row, col)`` of the points' cells.
        affinity: ``(N, h, w)`` float32 in [0, 1], from each point to all cells.
        figures: means, see :func:`mean_affinity_by_relation`.
        num_owned: number of points in the figures, those with an instance.
        semantic_maps: ``(H, W)`` int64 maps by title.
    """

    img_path: str
    size: tuple[int, int]
    padded_size: tuple[int, int]
    points_xy: np.ndarray
    labels: np.ndarray
    cells: np.ndarray
    affinity: np.ndarray
    figures: dict[str, float]
    num_owned: int
    semantic_maps: dict[str, np.ndarray]


def require_affinity_head(model: P2Seg) -> None:
    """Check that the network has an affinity head.

    Raises:
        CommandError: it has none.
    """
    if getattr(model, 'affinity_head', None) is None:
        raise CommandError('the network of this config has no affinity_head: nothing to draw')


@torch.no_grad()
def inspect_affinity(
    model: P2Seg, data: dict, *, truth: TrueInstances | None = None, with_maps: bool = True
) -> AffinityView:
    """Run a network on one image of a dataset.

    Args:
        model: in evaluation mode, with an affinity head.
        data: sample packed by the dataset's test pipeline; ``with_maps`` needs its weak map.
        truth: from :func:`mmp2seg.evaluation.functional.truth_maps.truth_instance_map`, in the
            original frame; None uses the instances decoded by the network for the figures.
        with_maps: also make the semantic maps: the weak map, the network's map, S of the network's
            probabilities, S of the weak map (the last three restricted to the image's classes) and
            the true map.
    """
    batch = model.data_preprocessor(pseudo_collate([data]), False)
    inputs, (sample,) = batch['inputs'], batch['data_samples']
    logits, _, embedding = model(inputs, [sample], mode='tensor')
    size, padded_size = tuple(sample.img_shape[:2]), tuple(inputs.shape[-2:])
    points = sample.gt_instances
    inside = torch.from_numpy(points_inside(points.points.cpu().numpy(), *size))
    points = points[inside.to(points.points.device)]
    cells = cells_of_points(points.points, size=padded_size, grid=tuple(embedding.shape[-2:]))
    affinity = affinity_of_cells(embedding[0], cells.to(embedding.device)).cpu()
    maps = {}
    if with_maps:
        maps = _semantic_maps(model, sample, logits, embedding, padded_size)
    if truth is None:
        model.predict(inputs, [sample])
        instance_map, instance_labels, owners = _decoded_instances(sample, points.point_ids)
    else:
        instance_map, instance_labels = map(torch.from_numpy, truth)
        owners = _owners_by_place(sample, points, instance_map, instance_labels)
        if with_maps:
            maps['true map'] = _true_map(instance_map, instance_labels, size)
    grid_map = _on_grid(instance_map, size, padded_size, tuple(affinity.shape[-2:]))
    return AffinityView(
        img_path=sample.img_path,
        size=size,
        padded_size=padded_size,
        points_xy=points.points.cpu().numpy(),
        labels=points.labels.cpu().numpy(),
        cells=cells.cpu().numpy(),
        affinity=affinity.numpy(),
        figures=mean_affinity_by_relation(affinity, owners, grid_map, instance_labels),
        num_owned=int((owners > 0).sum()),
        semantic_maps={title: values.cpu().numpy() for title, values in maps.items()},
    )


def cells_of_points(points_xy: Tensor, *, size: tuple[int, int], grid: tuple[int, int]) -> Tensor:
    """Return the cell of a coarser grid that contains each point.

    Args:
        points_xy: ``(N, 2)`` floats inside the frame, ``(x, y)``.
        size: ``(H, W)`` of the points' frame, which the grid covers.
        grid: ``(h, w)``.

    Returns:
        Tensor: ``(N, 2)`` int64, ``(row, col)``.
    """
    cells_per_pixel = points_xy.new_tensor([grid[0] / size[0], grid[1] / size[1]])
    cells = (points_xy.flip(1) * cells_per_pixel).floor().long()
    return torch.minimum(cells, cells.new_tensor(grid) - 1)  # against rounding at the far border


def affinity_of_cells(embedding: Tensor, cells: Tensor) -> Tensor:
    """Return rows ``sigmoid(e_p . e_j)`` of the affinity, without power, threshold and radius.

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
    """Mean affinity of an image's points to the cells of their own instance and to other cells.

    The mean is over the cells of each point, then over the points, so that large and small objects
    have the same weight. A point's own cell belongs to its instance.

    Args:
        affinity: ``(N, h, w)`` floats, see :func:`affinity_of_cells`.
        owners: ``(N,)`` integers, the instance 1..M of each point; points with 0 are left out.
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


def _semantic_maps(
    model: P2Seg,
    sample: DetDataSample,
    logits: Tensor,
    embedding: Tensor,
    padded_size: tuple[int, int],
) -> dict[str, Tensor]:
    """``(H, W)`` maps of the weak labels and of the network, and both after propagation."""
    height, width = sample.img_shape[:2]
    pad_pixel_fields(sample, size=padded_size)
    weak_map = sample.gt_sem_seg.sem_seg
    padding = torch.ones_like(weak_map, dtype=torch.bool)
    padding[:, :height, :width] = False
    values = image_values(sample.ori_points.labels.to(logits.device))
    scorer = dataclasses.replace(
        model.distiller.scorer,
        rounds=model.distiller.scorer.rounds or 1,
        use_weak_map=True,
        network_weight=0.0,
    )
    options = dict(ignored=padding, align_corners=model.semantic_head.align_corners)
    scores = {
        'map of the network': dataclasses.replace(scorer, rounds=0)(
            logits, embedding, values, **options
        ),
        'S of the network': scorer(logits, embedding, values, **options),
        'S of the weak map': scorer(logits, embedding, values, weak_map=weak_map, **options),
    }
    maps = {'weak map': weak_map[0].long()}
    maps |= {title: argmax_map(of_image[0], values)[0] for title, of_image in scores.items()}
    return {title: values[:height, :width] for title, values in maps.items()}


def _decoded_instances(sample: DetDataSample, point_ids: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Map ``(H', W')`` of the predicted instances, their classes, and the instance per point."""
    found = sample.pred_instances
    matches = point_ids.cpu()[:, None] == found.point_ids.cpu()  # (N, M)
    numbers = torch.arange(1, matches.shape[1] + 1)
    owners = (matches * numbers).sum(dim=1)
    return masks_to_instance_map(found.masks).cpu(), found.labels.cpu(), owners


def _owners_by_place(
    sample: DetDataSample, points, instance_map: Tensor, instance_labels: Tensor
) -> Tensor:
    """Instance ``(N,)`` of the point's class at the point's pixel, 0 for none."""
    (height, width), (rows, cols) = instance_map.shape, sample.img_shape[:2]
    points_xy = points.points.cpu().numpy() * np.array([width / cols, height / rows])
    pixels = torch.from_numpy(points_to_pixels(points_xy))
    owners = instance_map[pixels[:, 0].clamp(max=height - 1), pixels[:, 1].clamp(max=width - 1)]
    classes = F.pad(instance_labels, (1, 0), value=-1)[owners.clamp(min=0).long()]
    return owners.long() * (classes == points.labels.cpu())


def _true_map(instance_map: Tensor, instance_labels: Tensor, size: tuple[int, int]) -> Tensor:
    values = F.pad(instance_labels + 1, (1, 0))[instance_map.clamp(min=0).long()]
    return _resize(values.masked_fill(instance_map < 0, IGNORE), size).long()


def _on_grid(
    instance_map: Tensor,
    size: tuple[int, int],
    padded_size: tuple[int, int],
    grid: tuple[int, int],
) -> Tensor:
    """``(H', W')`` of the original image -> ``(h, w)``, at the cells' centres; padding ignored."""
    values = _resize(instance_map, size)
    amount = (0, padded_size[1] - size[1], 0, padded_size[0] - size[0])
    return _resize(F.pad(values, amount, value=IGNORED), grid).long()


def _resize(values: Tensor, size: tuple[int, int]) -> Tensor:
    # interpolate takes no integers; float32 holds these numbers exactly
    return F.interpolate(values[None, None].float(), size=size, mode='nearest-exact')[0, 0]
