"""Losses and gradients where there is nothing to learn from, in all precisions.

An image without points, a map that is all ignored, regions of one pixel: for the whole network with
what our configs and the paper's do in a step, and for each loss alone.
"""

import itertools

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate

from mmp2seg.datasets.transforms import FindRegions, PackPointInputs
from mmp2seg.models.losses import (
    AffinityLoss,
    HardPixelCrossEntropyLoss,
    MDMLoss,
    OffsetLoss,
    PositiveUnlabeledLoss,
)
from mmp2seg.ops.affinity import BACKGROUND_RULES
from mmp2seg.registry import MODELS
from mmp2seg.structures import PointBoxes
from mmp2seg.testing import tiny_p2seg_config

HEIGHT, WIDTH = 32, 48
PRECISIONS = [torch.float32, torch.bfloat16, torch.float16]


def _map(value=0, **pixels):
    semantic_map = np.full((HEIGHT, WIDTH), value, np.uint8)
    for row, column, of_pixel in pixels.get('pixels', ()):
        semantic_map[row, column] = of_pixel
    return semantic_map


CORNERS = [(0, 0, 1), (HEIGHT - 1, WIDTH - 1, 2), (HEIGHT - 1, 0, 2), (9, 7, 1), (10, 8, 1)]
# name: weak map, points (x, y), their labels
IMAGES = {
    'empty': (_map(), [], []),
    'ignored': (_map(255), [], []),
    'ignored-with-points': (_map(255), [(3.5, 4.5), (0, 0)], [0, 1]),
    'points-without-region': (_map(), [(3.5, 4.5)], [1]),
    'regions-without-points': (_map(pixels=CORNERS), [], []),
    'single-pixels': (
        _map(pixels=CORNERS),
        [(0.5, 0.5), (WIDTH - 0.25, HEIGHT - 0.25), (0.0, HEIGHT - 1.0), (7.5, 9.5)],
        [0, 1, 1, 0],
    ),
    'one-pixel-in-ignored': (_map(255, pixels=[(5, 6, 1)]), [(6.5, 5.5)], [0]),
    'all-foreground': (_map(1), [(3.5, 4.5), (30.5, 20.5), (30.5, 20.5)], [0, 0, 0]),
}
DISTILLERS = {
    'default': {},
    'no-affinity-head': dict(affinity_head=None, distiller=dict(rounds=0)),
    'paper': dict(distiller=dict(semantic_use='offset', beta=2.0, threshold=0.2, radius=4.0)),
    'weak': dict(distiller=dict(semantic_input='weak', semantic_use='semantic')),
    'guided': dict(
        distiller=dict(
            instance_scorer=dict(affinity=dict(type='mmp2seg.GuidedAffinity'), stride=1),
            semantic_use='semantic',
        )
    ),
    'guided-embedding': dict(
        distiller=dict(
            instance_scorer=dict(affinity=dict(type='mmp2seg.GuidedAffinity', use_embedding=True)),
            network_weight=0.5,
            semantic_use='offset',
        )
    ),
    'random-walker': dict(
        distiller=dict(
            instance_scorer=dict(affinity=dict(type='mmp2seg.RandomWalkerAffinity')),
            semantic_use='semantic',
        )
    ),
}


def _autocast(dtype):
    return torch.autocast('cpu', dtype=dtype, enabled=dtype != torch.float32)


def _sample(name):
    semantic_map, points, labels = IMAGES[name]
    pixels = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    results = dict(
        img=pixels,
        img_shape=(HEIGHT, WIDTH),
        gt_seg_map=semantic_map,
        gt_bboxes=PointBoxes(torch.tensor(points, dtype=torch.float32).reshape(-1, 2)),
        gt_bboxes_labels=np.array(labels, np.int64),
        gt_instances_ids=np.arange(len(labels)),
    )
    return PackPointInputs()(FindRegions()(results))


def _model(distiller):
    torch.manual_seed(0)
    overrides = dict(DISTILLERS[distiller])
    if 'distiller' in overrides:
        overrides['distiller'] = dict(type='mmp2seg.MutualDistiller', **overrides['distiller'])
    return MODELS.build(tiny_p2seg_config(**overrides))


def _check_step(model, names, dtype):
    """Check the losses of a batch, and the gradient of every parameter."""
    model.zero_grad()
    batch = pseudo_collate([_sample(name) for name in names])
    with _autocast(dtype):
        losses = model(**model.data_preprocessor(batch, True), mode='loss')
    assert all(loss.isfinite() and loss.dtype == torch.float32 for loss in losses.values()), losses
    total = sum(losses.values())
    total.backward()
    for name, parameter in model.named_parameters():
        # None would let a rank of a distributed training wait for the others
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
    return total.item()


@pytest.mark.parametrize('dtype', PRECISIONS, ids=str)
@pytest.mark.parametrize('distiller', DISTILLERS)
def test_losses_and_gradients_of_p2seg_are_finite(distiller, dtype):
    model = _model(distiller)
    totals = {name: _check_step(model, [name], dtype) for name in IMAGES}
    assert totals['ignored'] == totals['ignored-with-points'] == 0
    assert totals['empty'] > 0  # it trains the background
    _check_step(model, list(IMAGES), dtype)
    for first, second in itertools.combinations(('empty', 'ignored', 'single-pixels'), 2):
        _check_step(model, [first, second], dtype)


def _backward(loss, *leaves):
    assert loss.isfinite()
    loss.backward()
    for leaf in leaves:
        assert leaf.grad is not None and leaf.grad.isfinite().all()
    return loss.item()


def _leaf(*shape, dtype, scale=1.0):
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(*shape, generator=generator) * scale
    return values.to(dtype).requires_grad_()


SEMANTIC_TARGETS = {
    'all-ignored': torch.full((2, 4, 6), 255),
    'all-background': torch.zeros(2, 4, 6, dtype=torch.int64),
    'one-pixel': torch.nn.functional.pad(torch.ones(2, 1, 1).long(), (2, 3, 1, 2), value=255),
    'one-image-ignored': torch.stack([torch.full((4, 6), 255), torch.ones(4, 6).long()]),
}


@pytest.mark.parametrize('scale', [1.0, 1e4], ids=['', 'large'])
@pytest.mark.parametrize('dtype', PRECISIONS, ids=str)
@pytest.mark.parametrize('name', SEMANTIC_TARGETS)
@pytest.mark.parametrize('ratio', [0.01, 0.2, 1.0])
def test_hard_pixel_loss(name, dtype, scale, ratio):
    logits = _leaf(2, 3, 4, 6, dtype=dtype, scale=scale)
    with _autocast(dtype):
        loss = HardPixelCrossEntropyLoss(ratio=ratio)(logits, SEMANTIC_TARGETS[name])
    assert (_backward(loss, logits) == 0) == (name == 'all-ignored') or scale > 1


@pytest.mark.parametrize('dtype', PRECISIONS, ids=str)
@pytest.mark.parametrize('name', SEMANTIC_TARGETS)
def test_positive_unlabeled_loss(name, dtype):
    logits = _leaf(3, 48, dtype=dtype)
    with _autocast(dtype):
        loss = PositiveUnlabeledLoss()(logits, SEMANTIC_TARGETS[name].flatten())
    assert (_backward(loss, logits) == 0) == (name == 'all-ignored')


@pytest.mark.parametrize('dtype', PRECISIONS, ids=str)
@pytest.mark.parametrize('beta', [0.0, 1.0])
@pytest.mark.parametrize('num_pixels', [0, 1, 48])
def test_offset_loss(dtype, beta, num_pixels):
    offset = _leaf(2, 2, 4, 6, dtype=dtype, scale=30.0)
    weight = (torch.arange(48) < num_pixels).float().reshape(2, 4, 6)
    with _autocast(dtype):
        loss = OffsetLoss(beta=beta)(offset, torch.zeros(2, 2, 4, 6), weight)
    assert (_backward(loss, offset) == 0) == (num_pixels == 0)


INSTANCE_MAPS = {
    'all-ignored': [-1] * 24,
    'all-background': [0] * 24,
    'one-pixel': [1] + [-1] * 23,
    'one-pixel-each': list(range(1, 25)),
    'one-pixel-and-background': [1] + [0] * 23,
}


@pytest.mark.parametrize('scale', [1.0, 30.0], ids=['', 'large'])
@pytest.mark.parametrize('dtype', PRECISIONS, ids=str)
@pytest.mark.parametrize('name', INSTANCE_MAPS)
@pytest.mark.parametrize('background', BACKGROUND_RULES)
def test_affinity_loss(name, dtype, background, scale):
    embedding = _leaf(2, 8, 4, 6, dtype=dtype, scale=scale)
    maps = torch.tensor(INSTANCE_MAPS[name]).reshape(1, 1, 4, 6).expand(2, 2, 4, 6)
    with _autocast(dtype):
        loss = AffinityLoss(background=background)(embedding, maps)
    value = _backward(loss, embedding)
    if name == 'all-ignored':
        assert value == 0


@pytest.mark.parametrize('dtype', PRECISIONS, ids=str)
def test_mdm_loss_of_nothing_is_a_zero_with_a_graph(dtype):
    logits = _leaf(2, 3, 4, 6, dtype=dtype)
    offset = _leaf(2, 2, 4, 6, dtype=dtype)
    embedding = _leaf(2, 8, 4, 6, dtype=dtype)
    with _autocast(dtype):
        losses = MDMLoss()(
            semantic_logits=logits,
            semantic_targets=[SEMANTIC_TARGETS['all-ignored']] * 2,
            offset=offset,
            offset_targets=[(torch.zeros(2, 2, 4, 6), torch.zeros(2, 4, 6))],
            embedding=embedding,
            instance_maps=torch.full((2, 2, 4, 6), -1),
        )
    assert _backward(sum(losses.values()), logits, offset, embedding) == 0
