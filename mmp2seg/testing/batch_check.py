"""Are the targets and the connected parts of a batch on a device those of its images on the CPU?"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mmp2seg.codecs import ImagePoints
from mmp2seg.models import MutualDistiller, NetworkMaps
from mmp2seg.ops.components import find_regions, keep_connected
from mmp2seg.registry import MODELS

_GUIDED = dict(affinity=dict(type='mmp2seg.GuidedAffinity', dilations=(1, 2)))
# Options of the distiller by name of the round.
ROUNDS = {
    'offsets alone': dict(rounds=0),
    'offsets alone, to centroids': dict(rounds=0, labeler=dict(offset_target='centroid')),
    'pairwise affinity': dict(rounds=1, semantic_use='semantic', semantic_input='weak'),
    'guided affinity': dict(instance_scorer=_GUIDED, semantic_use='semantic', network_weight=0.5),
    'guided affinity, stride 4': dict(
        instance_scorer=dict(_GUIDED, stride=4), semantic_use='semantic', network_weight=0.5
    ),
    'guided affinity, windows': dict(
        instance_scorer=dict(_GUIDED, stride=2, window=16), semantic_use='semantic'
    ),
}
# Largest share of pixels with another target: those where two scores are about equal.
MAX_CHANGED = 1e-3


class BatchFinding(NamedTuple):
    """The share of pixels whose result on a device is another one than on the CPU."""

    what: str
    changed: float
    limit: float

    @property
    def ok(self) -> bool:
        """Whether the share is within the limit."""
        return self.changed <= self.limit


class Batch(NamedTuple):
    """What a distiller gets, on the CPU; the last image is padded at the right."""

    maps: NetworkMaps
    weak_maps: Tensor
    images: list[ImagePoints]
    padding: Tensor


def make_batch(
    *, numbers: tuple[int, ...] = (5, 0, 1, 9), size: tuple[int, int] = (96, 128), seed: int = 0
) -> Batch:
    """Draw random maps and points of three classes.

    Args:
        numbers: of points, of each image.
        size: (H, W), multiples of 32.
        seed: of everything.
    """
    draw = torch.Generator().manual_seed(seed)
    height, width = size
    images, weak_maps = [], []
    for index, number in enumerate(numbers):
        last = width // 4 * 3 if index == len(numbers) - 1 else width
        coarse = torch.rand(1, 4, height // 8, width // 8, generator=draw)
        semantic_map = F.interpolate(coarse, size, mode='bilinear').argmax(1)[0].byte()
        semantic_map[:3, :5] = semantic_map[:, last:] = 255
        points = torch.rand(number, 2, generator=draw) * torch.tensor([last, height]) * 0.999
        labels = torch.randint(3, (number,), generator=draw)
        regions = find_regions(semantic_map.numpy(), labels.numpy())
        images.append(ImagePoints(points, labels, regions))
        weak_maps.append(semantic_map)
    padding = torch.zeros(len(numbers), *size, dtype=torch.bool)
    padding[-1, :, last:] = True
    coarse_images = torch.randn(len(numbers), 3, height // 4, width // 4, generator=draw)
    maps = NetworkMaps(
        3 * torch.randn(len(numbers), 4, height // 4, width // 4, generator=draw),
        4 * torch.randn(len(numbers), 2, *size, generator=draw),
        torch.randn(len(numbers), 6, height // 8, width // 8, generator=draw),
        inputs=F.interpolate(coarse_images, size),
    )
    return Batch(maps, torch.stack(weak_maps), images, padding)


def compare_targets(batch: Batch, device: str) -> list[BatchFinding]:
    """Compare the targets of all kinds of rounds; on a GPU, the images are computed together."""
    findings = []
    for name, options in ROUNDS.items():
        distiller = make_distiller(options)
        expected = distiller.distill(
            batch.maps, batch.weak_maps, batch.images, iteration=1, padding=batch.padding
        )
        images = [
            ImagePoints(one.points_xy.to(device), one.labels.to(device), one.regions.to(device))
            for one in batch.images
        ]
        found = distiller.distill(
            NetworkMaps(*(one.to(device) if torch.is_tensor(one) else one for one in batch.maps)),
            batch.weak_maps.to(device),
            distiller.joined(images),
            iteration=1,
            padding=batch.padding.to(device),
        )
        pairs = {
            'instances': (found.instance_maps, expected.instance_maps),
            'classes': (found.semantic_maps[-1], expected.semantic_maps[-1]),
        }
        for what, (one, other) in pairs.items():
            changed = (one.cpu() != other).float().mean().item()
            findings.append(BatchFinding(f'{what}, {name}', changed, MAX_CHANGED))
    return findings


def make_distiller(options: dict) -> MutualDistiller:
    """Build a distiller with options of :data:`ROUNDS`."""
    labeler = dict(type='mmp2seg.PointPseudoLabeler', **options.get('labeler', {}))
    return MODELS.build({**options, 'type': 'mmp2seg.MutualDistiller', 'labeler': labeler})


def compare_parts(device: str, *, trials: int = 18, seed: int = 0) -> BatchFinding:
    """Compare the connected parts of random maps: noise, large parts and single instances."""
    draw = torch.Generator().manual_seed(seed)
    sizes = (
        (16, 104, 104, 12),
        (2, 375, 500, 30),
        (1, 1, 400, 3),
        (1, 300, 1, 3),
        (4, 33, 129, 200),
    )
    changed = []
    for trial in range(trials):
        batch, height, width, number = sizes[trial % len(sizes)]
        shape = (batch, height, width)
        if trial % 3 == 0:
            maps = torch.randint(0, number + 1, shape, generator=draw)
        elif trial % 3 == 1:
            maps = (torch.rand(shape, generator=draw) < 0.6) * torch.randint(
                1, number + 1, (batch, 1, 1), generator=draw
            )
        else:
            coarse = torch.rand(batch, 6, max(1, height // 9), max(1, width // 9), generator=draw)
            maps = F.interpolate(coarse, (height, width), mode='bilinear').argmax(1)
            maps = maps % (number + 1) * (torch.rand(shape, generator=draw) < 0.97)
        points = torch.rand(batch, number, 2, generator=draw) * torch.tensor([width, height]) * 1.1
        expected = keep_connected(maps.int(), points)
        found = keep_connected(maps.int().to(device), points.to(device)).cpu()
        changed.append((found != expected).float().mean().item())
    return BatchFinding(f'connected parts of {trials} batches', max(changed), 0.0)
