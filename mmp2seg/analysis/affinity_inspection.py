"""What the affinity of a trained network makes of one image."""

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from mmdet.structures import DetDataSample
from mmengine.dataset import pseudo_collate
from torch import Tensor

from mmp2seg.analysis.affinity_of_points import (
    affinity_of_cells,
    cells_of_points,
    mean_affinity_by_relation,
)
from mmp2seg.apis.arguments import CommandError
from mmp2seg.models.data_preprocessor import pad_pixel_fields
from mmp2seg.models.detectors import P2Seg
from mmp2seg.ops.affinity import IGNORED
from mmp2seg.ops.components import IGNORE
from mmp2seg.ops.coords import points_inside, points_to_pixels
from mmp2seg.ops.masks import masks_to_instance_map
from mmp2seg.ops.semantic_scores import argmax_map, image_values

TrueInstances = tuple[np.ndarray, np.ndarray]


@dataclass
class AffinityView:
    """The affinity of an image's points, in the frame of the network's input without padding.

    Attributes:
        img_path: the image file.
        size: ``(H, W)`` of the frame.
        padded_size: the same with padding, what the grid of the cells covers.
        points_xy: ``(N, 2)`` float32, the points inside of the image.
        labels: ``(N,)`` int64, their classes.
        cells: ``(N, 2)`` int64, ``(row, col)`` of their cells.
        affinity: ``(N, h, w)`` float32 in [0, 1], theirs to all cells.
        figures: means of :func:`mmp2seg.analysis.affinity_of_points.mean_affinity_by_relation`.
        num_owned: how many of the points these are of, those that have an instance.
        semantic_maps: ``(H, W)`` int64 maps by their titles.
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
    """Check that there is an affinity.

    Raises:
        CommandError: the network has no affinity head.
    """
    if getattr(model, 'affinity_head', None) is None:
        raise CommandError('the network of this config has no affinity_head: nothing to draw')


@torch.no_grad()
def inspect_affinity(
    model: P2Seg, data: dict, *, truth: TrueInstances | None = None, with_maps: bool = True
) -> AffinityView:
    """Run a network on one image of a data set.

    Args:
        model: in evaluation mode, with an affinity head.
        data: what the data set's test pipeline packed; with the weak map for ``with_maps``.
        truth: of :func:`mmp2seg.evaluation.functional.truth_maps.truth_instance_map`, in the
            original frame; None = the instances that the network decodes, for the figures.
        with_maps: also make the semantic maps: the weak one, the network's, S of the network's
            probabilities and S of the weak map, each restricted to the image's classes, and the
            true one.
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


def _semantic_maps(
    model: P2Seg,
    sample: DetDataSample,
    logits: Tensor,
    embedding: Tensor,
    padded_size: tuple[int, int],
) -> dict[str, Tensor]:
    """``(H, W)`` maps of the weak labels, of the network and of both propagated."""
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
    """Map ``(H', W')`` of the predicted instances, their classes, and the points' instances."""
    found = sample.pred_instances
    matches = point_ids.cpu()[:, None] == found.point_ids.cpu()  # (N, M)
    numbers = torch.arange(1, matches.shape[1] + 1)
    owners = (matches * numbers).sum(dim=1)
    return masks_to_instance_map(found.masks).cpu(), found.labels.cpu(), owners


def _owners_by_place(
    sample: DetDataSample, points, instance_map: Tensor, instance_labels: Tensor
) -> Tensor:
    """The instance ``(N,)`` of a point's own class on whose pixel it lies, 0 for none."""
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
    # float32 holds the numbers exactly; interpolation of integers does not exist
    return F.interpolate(values[None, None].float(), size=size, mode='nearest-exact')[0, 0]
