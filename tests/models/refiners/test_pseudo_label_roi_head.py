import numpy as np
import pytest
import torch
from mmdet.models.roi_heads import StandardRoIHead
from mmdet.models.roi_heads.bbox_heads import Shared2FCBBoxHead
from mmdet.models.task_modules.samplers import SamplingResult
from mmengine.config import Config
from mmengine.structures import InstanceData
from torch.nn import functional

from mmp2seg.models.refiners.pseudo_label_roi_head import ignored_shares, weighted_mask_loss

NAME = 'mask-rcnn_tiny_shapes'
REFINER = dict(type='mmp2seg.MaskRCNNRefiner')


def test_mask_loss_is_the_mean_over_the_pixels_that_count():
    logits = torch.tensor([[[0.0, 2.0]], [[-1.0, 3.0]]], requires_grad=True)
    targets = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]])
    pixels = torch.tensor([[[1.0, 0.0]], [[1.0, 1.0]]])
    loss = weighted_mask_loss(
        logits, targets, pixel_weights=pixels, instance_weights=torch.tensor([0.5, 1.5])
    )
    each = functional.binary_cross_entropy_with_logits(logits, targets, reduction='none')[:, 0]
    expected = (0.5 * each[0, 0] + 1.5 * each[1, 0] + 1.5 * each[1, 1]) / 3
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert logits.grad[0, 0, 1] == 0 and logits.grad.count_nonzero() == 3


def test_mask_loss_without_weights_is_mmdets():
    logits, targets = torch.randn(3, 4, 5), torch.rand(3, 4, 5).round()
    loss = weighted_mask_loss(
        logits, targets, pixel_weights=torch.ones(3, 4, 5), instance_weights=torch.ones(3)
    )
    expected = functional.binary_cross_entropy_with_logits(logits, targets)
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize('count', [0, 2])
def test_mask_loss_of_nothing_is_zero_with_a_graph(count):
    logits = torch.randn(count, 3, 3, requires_grad=True)
    zeros = torch.zeros(count, 3, 3)
    loss = weighted_mask_loss(
        logits, zeros, pixel_weights=zeros, instance_weights=torch.ones(count)
    )
    loss.backward()
    assert loss == 0 and not logits.grad.any()


@pytest.mark.parametrize('side', [60, 200, 224, 300])
def test_a_zone_thinner_than_a_cell_keeps_its_area(side):
    ignored = np.zeros((400, 400), dtype=bool)
    ignored[:, 150:154] = True  # 4 pixels are half a cell in a box of 224
    box = torch.tensor([[120.3, 50.0, 120.3 + side, 50.0 + side]])
    shares = ignored_shares([box, box[:0]], [ignored, ignored], mask_size=28)
    assert shares.shape == (1, 28, 28) and shares.min() >= 0 and shares.max() <= 1
    area = shares.sum().item() * (side / 28) ** 2
    assert area == pytest.approx(4 * side, rel=0.1)  # mmdet samples few points per cell


def head_and_proposals(build, make_batch, weights=(0.5, 1.5, 1.0)):
    """Return the head, features, and a sampling of image 0 with shifted true boxes as proposals."""
    head = build(NAME, **REFINER, ignore_border=1).roi_head
    instances = make_batch()['data_samples'][0].gt_instances
    instances.bboxes = instances.bboxes.tensor
    instances.loss_weights = torch.tensor(weights)
    instances.set_metainfo(dict(ignored_pixels=np.zeros((64, 64), dtype=bool)))
    background = torch.tensor([[0.0, 0.0, 5.0, 5.0]])
    sampling = SamplingResult.random(rng=0)
    sampling.pos_priors, sampling.neg_priors = instances.bboxes + 1, background
    sampling.pos_assigned_gt_inds = torch.arange(3)
    sampling.pos_gt_bboxes, sampling.pos_gt_labels = instances.bboxes, instances.labels
    sampling.pos_weights = instances.loss_weights
    features = tuple(torch.randn(1, 64, 64 // s, 64 // s) for s in (4, 8, 16))
    return head.eval(), features, sampling, instances


def test_an_ignored_pixel_has_no_gradient_and_no_other_loses_its_own(build, make_batch):
    head, features, sampling, instances = head_and_proposals(build, make_batch)
    instances.ignored_pixels[:, 33:] = True  # the right half, with parts of instances 1 and 2
    results = head.mask_loss(features, [sampling], None, [instances])
    results['mask_preds'].retain_grad()
    results['loss_mask']['loss_mask'].backward()
    grads = results['mask_preds'].grad[torch.arange(3), instances.labels]
    assert grads[0].all()
    for grad, box in zip(grads[1:], sampling.pos_priors[1:], strict=True):
        centres = box[0] + (torch.arange(28) + 0.5) * (box[2] - box[0]) / 28
        ignored = centres > 33
        assert ignored.any() and not ignored.all()
        away = (centres - 33).abs() > 1  # at the edge the map is interpolated
        assert torch.equal((grad != 0).all(dim=0)[away], ~ignored[away])


def test_weights_reach_the_box_of_their_instance_and_no_other(build, make_batch):
    weights = (0.5, 1.5, 0.0)
    head, features, sampling, instances = head_and_proposals(build, make_batch, weights)
    results = head.bbox_loss(features, [sampling])
    targets = head.bbox_head.get_targets([sampling], head.train_cfg)[2]
    boxes = results['bbox_pred'].view(4, 4, 4)[torch.arange(3), instances.labels]
    each = (boxes - targets[:3]).abs().sum(dim=1) / 4  # L1 over 4 proposals
    losses = results['loss_bbox']
    torch.testing.assert_close(losses['loss_bbox'], (each * torch.tensor(weights)).sum())
    expected = StandardRoIHead.bbox_loss(head, features, [sampling])['loss_bbox']
    torch.testing.assert_close(expected['loss_bbox'], each.sum())
    assert torch.equal(losses['loss_cls'], expected['loss_cls'])


def test_positives_have_the_weights_of_their_instances(build, make_batch):
    head, features, _, instances = head_and_proposals(build, make_batch)
    priors = torch.cat([instances.bboxes.flip(0) + 1, torch.tensor([[0.0, 0.0, 5.0, 5.0]])])
    proposals = InstanceData(priors=priors)
    assigned = head.bbox_assigner.assign(proposals, instances)
    result = head.bbox_sampler.sample(assigned, proposals, instances, feats=list(features))
    assert sorted(result.pos_assigned_gt_inds.tolist()) == [0, 0, 1, 1, 2, 2]  # the true boxes too
    expected = [(0.5, 1.5, 1.0)[index] for index in result.pos_assigned_gt_inds]
    assert result.pos_weights.tolist() == expected


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(mask_roi_extractor=None), 'with its own mask_roi_extractor'),
        (dict(mask_head=dict(loss_mask=dict(use_mask=False))), 'CrossEntropyLoss'),
        (dict(mask_head=dict(loss_mask=dict(reduction='sum'))), "reduction='mean'"),
        (dict(mask_head=dict(loss_mask=dict(class_weight=[1, 2, 1, 1]))), 'without class_weight'),
    ],
)
def test_heads_that_cannot_be_weighted(build, config_of, change, message):
    cfg = Config(dict(roi_head=config_of(NAME).roi_head))
    cfg.merge_from_dict(dict(roi_head=change))
    with pytest.raises(ValueError, match=message):
        build(NAME, **REFINER, roi_head=cfg.roi_head, ignore_border=1)


def test_a_box_head_with_losses_of_its_own(build, config_of):
    class OwnLosses(Shared2FCBBoxHead):
        def loss_and_target(self, *args, **kwargs):
            return {}

    roi_head = config_of(NAME).roi_head
    roi_head.bbox_head.type = OwnLosses
    with pytest.raises(ValueError, match="mmdet's BBoxHead, got OwnLosses"):
        build(NAME, **REFINER, roi_head=roi_head, ignore_border=1)
