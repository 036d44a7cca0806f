import functools

import numpy as np
import pytest
import torch
from mmdet.models.dense_heads import SOLOV2Head
from mmdet.models.losses import CrossEntropyLoss, DiceLoss

from mmp2seg.models.refiners.pseudo_label_solov2_head import WeightedDiceLoss

REFINER = dict(type='mmp2seg.SOLOv2Refiner', ignore_border=1)


@pytest.fixture
def random_instances(make_sample):
    """Make rectangles of all sizes, some overlapping; the last of several is empty."""
    return functools.partial(_random_instances, make_sample)


def _random_instances(make_sample, rng, count):
    masks = np.zeros((count, 64, 64), dtype=np.uint8)
    for mask in masks[: max(count - 1, 1)]:
        y, x, height, width = rng.integers([0, 0, 4, 4], [50, 50, 50, 50])
        mask[y : y + height, x : x + width] = 1
    instances = make_sample(masks, rng.integers(0, 4, count).tolist()).gt_instances
    instances.bboxes = instances.bboxes.tensor
    instances.loss_weights = torch.from_numpy(rng.uniform(0.5, 2, count)).float()
    instances.set_metainfo(dict(ignored_pixels=np.zeros((64, 64), dtype=bool)))
    return instances


@pytest.mark.parametrize(('seed', 'count'), [(0, 1), (1, 3), (2, 12), (3, 12)])
def test_targets_are_mmdets_with_weights_beside_them(build, random_instances, seed, count):
    head = build('solov2_tiny_shapes', **REFINER).mask_head
    instances = random_instances(np.random.default_rng(seed), count)
    targets = head._get_targets_single(instances, featmap_sizes=(16, 16))
    expected = SOLOV2Head._get_targets_single(head, instances, featmap_sizes=(16, 16))
    for ours, theirs in zip(targets[0], expected[0], strict=True):
        assert ours.shape == (len(theirs), 3, 16, 16)
        assert torch.equal(ours[:, 0], theirs.float())
        assert (ours[:, 1] == 1).all()
        weights = ours[:, 2].flatten(1)
        assert (weights == weights[:, :1]).all()
    for ours, theirs in zip(targets[1], expected[1], strict=True):
        assert torch.equal(ours, theirs)
    for ours, theirs in zip(targets[2], expected[2], strict=True):
        assert torch.equal(ours, theirs)
    assert list(targets[3]) == list(expected[3])
    used = torch.cat([level[:, 2, 0, 0] for level in targets[0]]).unique()
    assert set(used.tolist()) <= set(instances.loss_weights.tolist())
    assert len(used) == max(count - 1, 1)


def test_targets_of_no_instance(build, random_instances):
    head = build('solov2_tiny_shapes', **REFINER).mask_head
    instances = random_instances(np.random.default_rng(0), 1)[:0]
    masks, labels, positives, indices = head._get_targets_single(instances, featmap_sizes=(16, 16))
    assert [m.shape for m in masks] == [(0, 3, 16, 16)] * 3
    assert all((level == 4).all() for level in labels) and not any(p.any() for p in positives)
    assert indices == [[], [], []]


def test_ignored_pixels_do_not_count(build, random_instances):
    head = build('solov2_tiny_shapes', **REFINER).mask_head
    instances = random_instances(np.random.default_rng(0), 1)
    instances.ignored_pixels[8:16, 40:] = True
    masks = head._get_targets_single(instances, featmap_sizes=(20, 20))[0]
    counted = torch.cat(masks)[:, 1]
    expected = torch.ones(20, 20)
    expected[2:4, 10:16] = 0  # from 16 on is padding of the batch
    assert len(counted) > 0
    for one in counted:
        assert torch.equal(one, expected)


@pytest.mark.parametrize('first', range(20, 28))
@pytest.mark.parametrize('width', [1, 2, 3])
def test_a_zone_thinner_than_a_target_pixel_keeps_its_area(build, random_instances, first, width):
    head = build('solov2_tiny_shapes', **REFINER).mask_head
    instances = random_instances(np.random.default_rng(0), 1)
    instances.ignored_pixels[:, first : first + width] = True
    counted = torch.cat(head._get_targets_single(instances, featmap_sizes=(16, 16))[0])[0, 1]
    assert counted.min() >= 0
    area = (1 - counted).sum() * 4**2
    torch.testing.assert_close(area, torch.tensor(64.0 * width))


def dice(logits, masks, counted, weights, loss=None):
    channels = [masks, counted.expand_as(masks), weights[:, None, None].expand_as(masks)]
    return WeightedDiceLoss(loss or DiceLoss())(logits, torch.stack(channels, 1))


def test_dice_without_weights_is_mmdets():
    logits, masks = torch.randn(3, 5, 6), torch.rand(3, 5, 6).round()
    loss = DiceLoss(loss_weight=3.0)
    ours = dice(logits, masks, torch.ones(5, 6), torch.ones(3), loss)
    torch.testing.assert_close(ours, loss(logits, masks, reduction_override='none'))


def test_dice_over_the_pixels_that_count():
    logits = torch.randn(2, 4, 6, requires_grad=True)
    masks = torch.rand(2, 4, 6).round()
    counted = torch.ones(4, 6)
    counted[:, 4:] = 0
    weights = torch.tensor([0.5, 2.0])
    ours = dice(logits, masks, counted, weights)
    cut = DiceLoss()(logits[..., :4], masks[..., :4], reduction_override='none')
    torch.testing.assert_close(ours, cut * weights)
    ours.sum().backward()
    assert not logits.grad[..., 4:].any() and logits.grad[..., :4].all()


def test_dice_counts_a_pixel_by_its_share():
    logits, masks = torch.randn(1, 2, 3), torch.rand(1, 2, 3).round()
    counted = torch.tensor([[0.25, 1.0, 1.0], [1.0, 0.75, 0.0]])
    ours = dice(logits, masks, counted, torch.ones(1))
    # equals the loss with each pixel repeated once per quarter of its share
    copies = (4 * counted).flatten().long()
    repeated = [one.flatten().repeat_interleave(copies)[None] for one in (logits, masks)]
    torch.testing.assert_close(ours, DiceLoss(eps=4e-3)(*repeated, reduction_override='none'))


def test_dice_of_an_ignored_instance_is_zero_with_a_graph():
    logits = torch.randn(1, 4, 6, requires_grad=True)
    loss = dice(logits, torch.ones(1, 4, 6), torch.zeros(4, 6), torch.ones(1))
    loss.sum().backward()
    assert loss.tolist() == [0] and not logits.grad.any()


@pytest.mark.parametrize(
    'loss',
    [
        DiceLoss(activate=False),
        DiceLoss(naive_dice=True),
        DiceLoss(use_sigmoid=False),
        CrossEntropyLoss(),
    ],
)
def test_losses_that_cannot_be_weighted(loss):
    with pytest.raises(
        ValueError, match=f'expected a loss_mask of DiceLoss.*{type(loss).__name__}'
    ):
        WeightedDiceLoss(loss)
