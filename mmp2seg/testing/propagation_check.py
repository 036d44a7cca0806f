"""Do the affinities that propagate scores agree between devices?"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from mmp2seg.codecs import (
    Affinity,
    GuidedAffinity,
    InstanceScorer,
    PairwiseAffinity,
    RandomWalkerAffinity,
)
from mmp2seg.ops.coords import pixel_centers

# Largest differences of a probability between devices. The walker is solved directly on a CPU and
# by conjugate gradients elsewhere, to a residual of 1e-6 of the right side.
AFFINITIES: dict[str, tuple[Callable[[], Affinity], float]] = {
    'guided affinity': (lambda: GuidedAffinity(iterations=10), 1e-3),
    'guided affinity with embedding': (lambda: GuidedAffinity(use_embedding=True), 1e-3),
    'pairwise affinity': (lambda: PairwiseAffinity(radius=8), 1e-3),
    'random walker, stride 4': (lambda: RandomWalkerAffinity(stride=4), 5e-3),
}
# Largest share of pixels with another instance: those whose two best scores are about equal.
MAX_CHANGED = 2e-3


class Scene(NamedTuple):
    """Scores, maps and points of a synthetic image on the CPU."""

    probs: Tensor
    offset: Tensor
    points_xy: Tensor
    channels: Tensor
    image: Tensor
    embedding: Tensor


class PropagationFinding(NamedTuple):
    """The largest difference of a result on a device from that on the CPU, and its limit."""

    what: str
    difference: float
    limit: float

    @property
    def ok(self) -> bool:
        """Whether the difference is within the limit."""
        return self.difference <= self.limit


def make_scene(*, size: int = 416, num_points: int = 12, seed: int = 0) -> Scene:
    """Draw discs of other colours on a noisy image, with noisy maps of a network.

    Args:
        size: side of the image in pixels.
        num_points: N; one disc each.
        seed: of everything.
    """
    draw = torch.Generator().manual_seed(seed)
    points = torch.rand(num_points, 2, generator=draw) * size
    channels = 1 + torch.arange(num_points) % 2
    centers = pixel_centers(size, size)
    squared = (centers[None] - points[:, :, None, None]).square().sum(1)
    nearest = squared.argmin(0)
    inside = squared.amin(0) < (size / 8) ** 2
    colors = torch.rand(num_points, 3, generator=draw) * 255
    image = torch.where(inside, colors[nearest].permute(2, 0, 1), 90.0)
    image = image + torch.randn(3, size, size, generator=draw) * 8
    truth = torch.where(inside, channels[nearest], 0)
    logits = torch.randn(3, size, size, generator=draw)
    logits.scatter_add_(0, truth[None], torch.full((1, size, size), 1.5))
    offset = points.T[:, nearest] - centers + torch.randn(2, size, size, generator=draw) * 2
    embedding = torch.randn(16, -(-size // 4), -(-size // 4), generator=draw)
    return Scene(logits.softmax(0), offset, points, channels, image, embedding)


def compare(scene: Scene, device: str) -> list[PropagationFinding]:
    """Compare all affinities, and the instances of a round, on a device with those on the CPU."""
    moved = Scene(*(values.to(device) for values in scene))
    findings = []
    for name, (make, limit) in AFFINITIES.items():
        first, other = (_propagated(make(), one).cpu() for one in (scene, moved))
        difference = (first - other).abs().max().item()
        findings.append(PropagationFinding(name, difference, limit))
    first, other = (instances_of(one) for one in (scene, moved))
    changed = (first != other.cpu()).float().mean().item()
    return [*findings, PropagationFinding('instances of a round, share', changed, MAX_CHANGED)]


def instances_of(scene: Scene) -> Tensor:
    """Return the ``(H, W)`` instance map of a round with the guided affinity."""
    scorer = InstanceScorer(affinity=GuidedAffinity())
    return scorer.assign(
        scene.probs, scene.offset, scene.points_xy, scene.channels, image=scene.image
    ).instance_map


def _propagated(affinity: Affinity, scene: Scene) -> Tensor:
    return affinity(scene.probs, image=scene.image, embedding=scene.embedding)


def timed_calls(scene: Scene, device: str) -> dict[str, Callable[[], object]]:
    """Return calls of all affinities and of a round on a device, by name."""
    moved = Scene(*(values.to(device) for values in scene))
    calls: dict[str, Callable[[], object]] = {}
    for name, (make, _) in AFFINITIES.items():
        calls[name] = functools.partial(_propagated, make(), moved)
    calls['instances of a round'] = functools.partial(instances_of, moved)
    return calls
