from typing import NamedTuple

import pytest
import torch
from mmdet.models.dense_heads import SOLOV2Head
from mmdet.models.detectors import MaskRCNN, SOLOv2
from mmdet.models.roi_heads import StandardRoIHead

from mmp2seg.models.refiners import (
    MaskRCNNRefiner,
    PseudoLabelRoIHead,
    PseudoLabelSOLOV2Head,
    SOLOv2Refiner,
)
from mmp2seg.models.refiners.detectors import replace_type


class Case(NamedTuple):
    """A refiner, and the small config, detector and heads that belong to it."""

    refiner: type
    config: str
    detector: type
    head_key: str
    mmdet_head: type
    weighted_head: type

    @property
    def options(self):
        return dict(type=f'mmp2seg.{self.refiner.__name__}')


CASES = [
    Case(
        MaskRCNNRefiner,
        'mask-rcnn_tiny_shapes',
        MaskRCNN,
        'roi_head',
        StandardRoIHead,
        PseudoLabelRoIHead,
    ),
    Case(
        SOLOv2Refiner,
        'solov2_tiny_shapes',
        SOLOv2,
        'mask_head',
        SOLOV2Head,
        PseudoLabelSOLOV2Head,
    ),
]


@pytest.fixture(params=CASES, ids=lambda case: case.refiner.__name__)
def case(request):
    return request.param


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


def test_all_options_off_is_mmdets_detector_number_for_number(case, build, make_batch, losses_of):
    theirs, ours = build(case.config), build(case.config, **case.options)
    assert type(theirs) is case.detector and type(ours) is case.refiner
    assert type(getattr(ours, case.head_key)) is case.mmdet_head
    assert same(theirs.state_dict(), ours.state_dict())
    theirs_log, theirs_grads = losses_of(theirs, make_batch())
    log, grads = losses_of(ours, make_batch())
    assert same(theirs_log, log) and same(theirs_grads, grads)
    assert same(theirs.state_dict(), ours.state_dict())  # the running means too


def test_an_option_changes_no_parameter(case, build):
    theirs, ours = build(case.config), build(case.config, **case.options, ignore_border=2)
    assert type(getattr(ours, case.head_key)) is case.weighted_head
    assert same(theirs.state_dict(), ours.state_dict())
    ours.load_state_dict(theirs.state_dict())


def test_equal_scores_change_nothing(case, build, make_batch, losses_of):
    batch = make_batch(scores=((0.5,) * 3, (0.5,)))
    log, grads = losses_of(build(case.config, **case.options, score_weight=2.0), batch)
    expected_log, expected_grads = losses_of(build(case.config), make_batch())
    for key, value in expected_log.items():
        torch.testing.assert_close(log[key], value)
    for key, value in expected_grads.items():
        torch.testing.assert_close(grads[key], value, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    'options',
    [
        dict(score_weight=1.0),
        dict(ignore_border=4),
        dict(ignore_semantic='void'),
        dict(ignore_semantic='disagreement'),
    ],
)
def test_each_option_changes_its_losses(case, build, make_batch, losses_of, options):
    log, grads = losses_of(build(case.config, **case.options, **options), make_batch())
    expected, _ = losses_of(build(case.config), make_batch())
    differing = {key for key in log if not torch.allclose(log[key], expected[key], rtol=1e-6)}
    weights_boxes = case.refiner is MaskRCNNRefiner and 'score_weight' in options
    assert differing == {'loss', 'loss_mask'} | ({'loss_bbox'} if weights_boxes else set())
    assert all(torch.isfinite(value) for value in log.values())
    assert all(torch.isfinite(grad).all() for grad in grads.values())


@pytest.mark.parametrize('empty', [1, 2])
def test_images_without_instances_train(case, build, make_batch, losses_of, empty):
    options = dict(score_weight=1.0, ignore_border=1, ignore_semantic='void')
    batch = make_batch()
    for sample in batch['data_samples'][:empty]:
        sample.gt_instances = sample.gt_instances[:0]
    log, grads = losses_of(build(case.config, **case.options, **options), batch)
    for name in {'loss_mask', 'loss_bbox'} & log.keys():
        assert (log[name] > 0) == (empty < 2)
    assert all(torch.isfinite(grad).all() for grad in grads.values())


def test_missing_scores_are_an_error_if_an_option_needs_them(case, build, make_batch, losses_of):
    batch = make_batch()
    for sample in batch['data_samples']:
        del sample.gt_instances.scores
        del sample.gt_sem_seg
    log, _ = losses_of(build(case.config, **case.options, ignore_border=1), batch)
    assert torch.isfinite(log['loss'])
    with pytest.raises(ValueError, match='PseudoLabelCocoDataset'):
        losses_of(build(case.config, **case.options, score_weight=1.0), batch)


@pytest.mark.parametrize(
    ('case', 'head'), zip(CASES, ('CascadeRoIHead', 'SOLOHead'), strict=True), indirect=['case']
)
def test_an_option_with_another_head_is_an_error(case, build, head):
    expected = f'expected a head of type {case.mmdet_head.__name__}, got {head}'
    with pytest.raises(ValueError, match=expected):
        build(case.config, **case.options, **{case.head_key: dict(type=head)}, ignore_border=1)


@pytest.mark.parametrize('given', ['A', 'mmdet.A', 'mmp2seg.Ours'])
def test_type_is_replaced_in_a_copy(given):
    head = dict(type=given, inner=dict(x=1))
    ours = replace_type(head, 'A', 'Ours')
    assert ours == dict(type='mmp2seg.Ours', inner=dict(x=1))
    assert head['type'] == given and ours['inner'] is not head['inner']


def test_type_may_be_a_class():
    head = replace_type(dict(type=StandardRoIHead), 'StandardRoIHead', 'Ours')
    assert head == dict(type='mmp2seg.Ours')


def test_true_masks_weigh_more(case, build, make_batch, losses_of):
    """The kinds change the losses that learn from masks; equal weights change nothing."""
    batch = make_batch()
    for sample in batch['data_samples']:
        sample.gt_instances.supervision = torch.arange(len(sample.gt_instances)) % 3

    def build_weighted(**weights):
        return build(case.config, **case.options, supervision_weights=weights)

    weighted = build_weighted(mask=3)
    assert isinstance(getattr(weighted, case.head_key), case.weighted_head)
    log, grads = losses_of(weighted, batch)
    expected, _ = losses_of(build_weighted(point=2, box=2, mask=2), make_batch())
    differing = {key for key in log if not torch.allclose(log[key], expected[key], rtol=1e-6)}
    boxes = {'loss_bbox'} if case.refiner is MaskRCNNRefiner else set()
    assert differing == {'loss', 'loss_mask'} | boxes
    assert all(torch.isfinite(grad).all() for grad in grads.values())
