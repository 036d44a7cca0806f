"""Affinity loss and propagation, streamed, and the dense versions as a reference."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from mmp2seg.analysis.benchmarks.scene import make_scene
from mmp2seg.codecs import GuidedAffinity
from mmp2seg.models.distillation import semantic_scorer
from mmp2seg.models.losses import affinity_loss
from mmp2seg.ops.affinity import BACKGROUND, IGNORED, pair_loss, propagate


def dense_pair_loss(
    embedding: Tensor,
    instance_maps: Tensor,
    *,
    background: str = 'ignore',
    ignored_as_background: bool = False,
) -> Tensor:
    """Compute :func:`mmp2seg.ops.affinity.pair_loss` by its formula, on N x N matrices."""
    rows = embedding.flatten(2).transpose(1, 2)  # (B, D, h, w) -> (B, N, D)
    affinity = (rows @ rows.mT).sigmoid()  # (B, N, N)
    losses = []
    for codes in instance_maps.flatten(2).unbind(dim=1):  # (B, N) each
        codes = codes.clamp(min=BACKGROUND) if ignored_as_background else codes
        first, second = codes[:, :, None], codes[:, None]
        lowest = BACKGROUND if background == 'ignore' else IGNORED
        pairs = (first > lowest) & (second > lowest)
        if background in ('different', 'separate'):
            pairs &= (first > BACKGROUND) | (second > BACKGROUND)
        same, different = pairs & (first == second), [pairs & (first != second)]
        if background == 'separate':
            mixed = (first == BACKGROUND) | (second == BACKGROUND)
            different = [different[0] & ~mixed, different[0] & mixed]
        loss = _mean_over(same, 1 - affinity)
        losses.append(loss + sum(_mean_over(side, affinity) for side in different))
    return torch.stack(losses).mean(dim=0)


def _mean_over(pairs: Tensor, values: Tensor) -> Tensor:
    """``(B,)`` means of ``(B, N, N)`` values; 0 where there are no pairs."""
    return (values * pairs).sum(dim=(1, 2)) / pairs.sum(dim=(1, 2)).clamp(min=1)


@torch.no_grad()
def dense_propagate(
    embedding: Tensor,
    scores: Tensor,
    *,
    rounds: int = 1,
    beta: float = 1.0,
    threshold: float = 0.0,
    radius: float | None = None,
    valid: Tensor | None = None,
) -> Tensor:
    """Compute :func:`mmp2seg.ops.affinity.propagate` by its formula, on N x N matrices."""
    rows = embedding.flatten(2).transpose(1, 2)  # (B, D, h, w) -> (B, N, D)
    affinity = (rows @ rows.mT).sigmoid()  # (B, N, N)
    if threshold > 0:
        itself = torch.eye(rows.shape[1], dtype=torch.bool, device=rows.device)
        affinity = affinity.masked_fill((affinity < threshold) & ~itself, 0)
    if beta != 1:
        affinity = affinity**beta
    if radius is not None:
        cells = [torch.arange(side, device=rows.device) for side in scores.shape[2:]]
        cells = torch.cartesian_prod(*cells).float()
        affinity = affinity * (torch.cdist(cells, cells) <= radius)
    if valid is not None:
        affinity = affinity * valid.flatten(1)[:, None]
    affinity = affinity / affinity.sum(dim=2, keepdim=True).clamp(min=1e-30)
    result = scores.flatten(2).transpose(1, 2)  # (B, C, h, w) -> (B, N, C)
    for _ in range(rounds):
        result = affinity @ result
    return result.transpose(1, 2).reshape(scores.shape)


@contextmanager
def dense_affinity() -> Iterator[None]:
    """Make networks of this process use the dense versions."""
    affinity_loss.pair_loss, semantic_scorer.propagate = dense_pair_loss, dense_propagate
    try:
        yield
    finally:
        affinity_loss.pair_loss, semantic_scorer.propagate = pair_loss, propagate


def make_loss_call(options: Mapping) -> Callable[[], object]:
    """Return a call that computes loss and gradient of one image with two label maps.

    Args:
        options: ``grid``, side of the maps; ``channels``; ``device``; ``dense``, use the dense
            version; ``full``, put every pixel in an instance, otherwise as in :func:`make_scene`.
    """
    embedding = _embedding(options).requires_grad_()
    maps = _label_maps(options['grid'], full=options['full']).to(options['device'])
    loss = dense_pair_loss if options['dense'] else pair_loss
    return lambda: torch.autograd.grad(loss(embedding, maps).sum(), embedding)


def make_propagation_call(options: Mapping) -> Callable[[], object]:
    """Return a call that propagates 21 semantic scores of one image.

    Args:
        options: ``grid``, ``channels``, ``device`` and ``dense``, see :func:`make_loss_call`;
            ``beta`` and ``radius`` of the propagation.
    """
    embedding = _embedding(options)
    generator = torch.Generator().manual_seed(1)
    grid = options['grid']
    scores = torch.rand(1, 21, grid, grid, generator=generator).softmax(dim=1).to(embedding.device)
    run = dense_propagate if options['dense'] else propagate
    return lambda: run(embedding, scores, beta=options['beta'], radius=options['radius'])


def make_guided_call(options: Mapping) -> Callable[[], object]:
    """Return a call that propagates scores along an image with :class:`GuidedAffinity`.

    Args:
        options: ``side`` of the image, number of score ``maps``, ``iterations`` and ``device``.
    """
    side, device = options['side'], options['device']
    image = torch.from_numpy(make_scene(12, (side, side)).instance_map).to(device).float()
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(3, side, side, generator=generator).to(device)
    scores = torch.rand(options['maps'], side, side, generator=generator).softmax(0).to(device)
    propagate_guided = GuidedAffinity(iterations=options['iterations'])
    return lambda: propagate_guided(scores, image=image + noise)


def labelled_share(grid: int) -> float:
    """Share of pixels in an instance in the label maps that are not ``full``."""
    return float((_label_maps(grid, full=False) > 0).float().mean())


def _embedding(options: Mapping) -> Tensor:
    """``(1, D, h, w)``; inner products of different pixels have a standard deviation of 1."""
    grid, channels = options['grid'], options['channels']
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(1, channels, grid, grid, generator=generator)
    return (values / channels**0.25).to(options['device'])


def _label_maps(grid: int, *, full: bool) -> Tensor:
    """``(1, 2, h, w)`` int32: 12 objects, and the same objects flipped."""
    maps = []
    for flip in (False, True):
        instances = torch.from_numpy(make_scene(12, (grid, grid)).instance_map)
        instances = instances.flip(1) if flip else instances
        maps.append(instances + 1 if full else instances)
    return torch.stack(maps)[None]
