import pytest
import torch
from mmdet.models.detectors import MaskRCNN
from mmdet.models.roi_heads import StandardRoIHead

from mmp2seg.models.refiners import MaskRCNNRefiner, PseudoLabelRoIHead

NAME = 'mask-rcnn_tiny_shapes'
REFINER = dict(type='mmp2seg.MaskRCNNRefiner')


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


def test_all_options_off_is_mmdets_detector_number_for_number(build, make_batch, losses_of):
    theirs, ours = build(NAME), build(NAME, **REFINER)
    assert type(theirs) is MaskRCNN and type(ours) is MaskRCNNRefiner
    assert type(ours.roi_head) is StandardRoIHead
    assert same(theirs.state_dict(), ours.state_dict())
    theirs_log, theirs_grads = losses_of(theirs, make_batch())
    log, grads = losses_of(ours, make_batch())
    assert same(theirs_log, log) and same(theirs_grads, grads)
    assert same(theirs.state_dict(), ours.state_dict())  # the running means, too


def test_an_option_changes_no_parameter(build):
    theirs, ours = build(NAME), build(NAME, **REFINER, ignore_border=2)
    assert type(ours.roi_head) is PseudoLabelRoIHead
    assert same(theirs.state_dict(), ours.state_dict())
    ours.load_state_dict(theirs.state_dict())


def test_equal_scores_change_nothing(build, make_batch, losses_of):
    batch = make_batch(scores=((0.5,) * 3, (0.5,)))
    log, grads = losses_of(build(NAME, **REFINER, score_weight=2.0), batch)
    expected_log, expected_grads = losses_of(build(NAME), make_batch())
    for key, value in expected_log.items():
        torch.testing.assert_close(log[key], value)
    for key, value in expected_grads.items():
        torch.testing.assert_close(grads[key], value, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ('options', 'changed'),
    [
        (dict(score_weight=1.0), {'loss', 'loss_bbox', 'loss_mask'}),
        (dict(ignore_border=2), {'loss', 'loss_mask'}),
        (dict(ignore_semantic='void'), {'loss', 'loss_mask'}),
        (dict(ignore_semantic='disagreement'), {'loss', 'loss_mask'}),
    ],
)
def test_each_option_changes_its_losses(build, make_batch, losses_of, options, changed):
    log, _ = losses_of(build(NAME, **REFINER, **options), make_batch())
    expected, _ = losses_of(build(NAME), make_batch())
    differing = {key for key in log if not torch.allclose(log[key], expected[key], rtol=1e-6)}
    assert differing == changed
    assert all(torch.isfinite(value) for value in log.values())


@pytest.mark.parametrize('empty', [1, 2])
def test_images_without_instances_train(build, make_batch, losses_of, empty):
    model = build(NAME, **REFINER, score_weight=1.0, ignore_border=1, ignore_semantic='void')
    batch = make_batch()
    for sample in batch['data_samples'][:empty]:
        sample.gt_instances = sample.gt_instances[:0]
    log, grads = losses_of(model, batch)
    assert (log['loss_mask'] > 0) == (log['loss_bbox'] > 0) == (empty < 2)
    assert all(torch.isfinite(grad).all() for grad in grads.values())


def test_what_an_option_needs_is_asked_for(build, make_batch, losses_of):
    batch = make_batch()
    for sample in batch['data_samples']:
        del sample.gt_instances.scores
        del sample.gt_sem_seg
    log, _ = losses_of(build(NAME, **REFINER, ignore_border=1), batch)
    assert torch.isfinite(log['loss'])
    with pytest.raises(ValueError, match='PseudoLabelCocoDataset'):
        losses_of(build(NAME, **REFINER, score_weight=1.0), batch)


def test_an_option_on_another_head_is_an_error(build):
    head = dict(type='CascadeRoIHead')
    with pytest.raises(ValueError, match='expected a head of type StandardRoIHead, got Cascade'):
        build(NAME, **REFINER, roi_head=head, ignore_border=1)
