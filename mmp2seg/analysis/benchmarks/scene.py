"""Synthetic images for measurements: objects, a weak map, and outputs of a trained network.

The time of the point codec and of the distillation depends on the maps: random logits would give
thousands of regions, unlike a trained network.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from mmengine.structures import BaseDataElement, InstanceData
from torch import Tensor

from mmp2seg.datasets.transforms import PackPointInputs
from mmp2seg.ops.components import IGNORE, find_regions
from mmp2seg.ops.noise import smooth_noise
from mmp2seg.ops.offsets import offsets_to_points
from mmp2seg.structures import PointBoxes

OBJECT_COVER = 0.6  # sum of the objects' areas over the image's, before they overlap
CLASSES_PER_IMAGE = 4
STRIDE = 4  # of a network's maps


@dataclass(frozen=True)
class Scene:
    """Touching and overlapping objects in an image of ``H x W`` pixels.

    Attributes:
        points_xy: ``(N, 2)`` float32, centres of the objects.
        labels: ``(N,)`` int64, 0..K-1.
        instance_map: ``(H, W)`` int32, the true instances; an object may be hidden.
        weak_map: ``(H, W)`` uint8: the true semantic map with holes, false parts and a strip of
            255.
    """

    points_xy: np.ndarray
    labels: np.ndarray
    instance_map: np.ndarray
    weak_map: np.ndarray


def make_scene(num_points: int, size: tuple[int, int], *, num_classes: int = 20) -> Scene:
    """Make a scene; equal arguments give equal scenes.

    Args:
        num_points: N, at least 1.
        size: ``(H, W)``.
        num_classes: K, of which at most four occur.
    """
    height, width = size
    rng = np.random.default_rng([num_points, num_classes])
    kinds = rng.choice(num_classes, min(CLASSES_PER_IMAGE, num_classes), replace=False)
    labels = rng.choice(kinds, num_points)
    points_xy = (rng.random((num_points, 2)) * (width, height)).astype(np.float32)
    radius = np.sqrt(OBJECT_COVER * height * width / (np.pi * num_points))
    radii = np.maximum(radius * rng.uniform(0.7, 1.3, (num_points, 2)), 1).round().astype(int)
    angles = rng.uniform(0, 180, num_points)
    instance_map = np.zeros(size, np.int32)
    for index in range(num_points):
        middle = points_xy[index].astype(int).tolist()
        axes, angle = radii[index].tolist(), angles[index]
        cv2.ellipse(instance_map, middle, axes, angle, 0, 360, index + 1, thickness=-1)
    weak_map = np.append(0, labels + 1).astype(np.uint8)[instance_map]
    noise = smooth_noise(size, cell=max(min(size) / 40, 2), rng=rng)
    weak_map[noise > 2] = 0
    weak_map[noise < -2.2] = labels[0] + 1
    weak_map[: height // 100] = IGNORE
    return Scene(points_xy, labels.astype(np.int64), instance_map, weak_map)


def network_maps(
    scene: Scene, *, num_classes: int = 20, channels: int = 256
) -> tuple[Tensor, Tensor, Tensor]:
    """Make outputs like those of a trained network, at stride 4.

    Returns:
        tuple: ``(1, K + 1, h, w)`` semantic logits, ``(1, 2, h, w)`` offsets and the
        ``(1, channels, h, w)`` embedding.
    """
    height, width = scene.weak_map.shape
    grid = (-(-height // STRIDE), -(-width // STRIDE))
    generator = torch.Generator().manual_seed(0)
    rng = np.random.default_rng(0)

    def noise(count: int) -> Tensor:
        return torch.from_numpy(
            np.stack([smooth_noise(grid, cell=5, rng=rng) for _ in range(count)])
        )

    instance_map = torch.from_numpy(scene.instance_map)
    offset, _ = offsets_to_points(instance_map, torch.from_numpy(scene.points_xy))
    offset = F.interpolate(offset[None], size=grid, mode='area') + 2 * noise(2)
    instances = F.interpolate(instance_map[None, None].double(), size=grid, mode='nearest-exact')
    instances = instances[0, 0].long()
    semantic_map = torch.from_numpy(np.append(0, scene.labels + 1))[instances]
    logits = 6 * F.one_hot(semantic_map, num_classes + 1).permute(2, 0, 1) + noise(num_classes + 1)
    # Inner products are 4 within an instance and about 0 between two instances.
    directions = torch.randn(len(scene.labels) + 1, channels, generator=generator)
    directions = 2 * F.normalize(directions, dim=1)
    return logits[None], offset, directions[instances].permute(2, 0, 1)[None]


def training_sample(scene: Scene) -> dict[str, Tensor | BaseDataElement]:
    """Return what the data pipeline gives for the scene with a random image."""
    height, width = scene.weak_map.shape
    point_ids = np.arange(len(scene.labels))
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    results = dict(
        img=image,
        img_shape=(height, width),
        ori_shape=(height, width),
        gt_bboxes=PointBoxes(scene.points_xy),
        gt_bboxes_labels=scene.labels,
        gt_instances_ids=point_ids,
        ori_points=InstanceData(
            points=torch.from_numpy(scene.points_xy).double(),
            labels=torch.from_numpy(scene.labels),
            point_ids=torch.from_numpy(point_ids),
        ),
        gt_seg_map=scene.weak_map,
        gt_regions=find_regions(scene.weak_map, scene.labels),
    )
    return PackPointInputs().transform(results)
