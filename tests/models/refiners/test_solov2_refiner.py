import pytest
import torch
from mmdet.models.dense_heads import SOLOV2Head
from mmdet.models.detectors import SOLOv2

from mmp2seg.models.refiners import PseudoLabelSOLOV2Head, SOLOv2Refiner

NAME = 'solov2_tiny_shapes'
REFINER = dict(type='mmp2seg.SOLOv2Refiner')


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


def test_all_options_off_is_mmdets_detector_number_for_number(build, make_batch, losses_of):
    theirs, ours = build(NAME), build(NAME, **REFINER)
    assert type(theirs) is SOLOv2 and type(ours) is SOLOv2Refiner
    assert type(ours.mask_head) is SOLOV2Head
    assert same(theirs.state_dict(), ours.state_dict())
    theirs_log, theirs_grads = losses_of(theirs, make_batch())
    log, grads = losses_of(ours, make_batch())
    assert same(theirs_log, log) and same(theirs_grads, grads)
    assert same(theirs.state_dict(), ours.state_dict())


def test_an_option_changes_no_parameter(build):
    theirs, ours = build(NAME), build(NAME, **REFINER, ignore_border=2)
    assert type(ours.mask_head) is PseudoLabelSOLOV2Head
    assert same(theirs.state_dict(), ours.state_dict())


def test_equal_scores_change_nothing(build, make_batch, losses_of):
    batch = make_batch(scores=((0.5,) * 3, (0.5,)))
    log, grads = losses_of(build(NAME, **REFINER, score_weight=2.0), batch)
    expected_log, expected_grads = losses_of(build(NAME), make_batch())
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
def test_each_option_changes_the_mask_loss_alone(build, make_batch, losses_of, options):
    log, grads = losses_of(build(NAME, **REFINER, **options), make_batch())
    expected, _ = losses_of(build(NAME), make_batch())
    differing = {key for key in log if not torch.allclose(log[key], expected[key], rtol=1e-6)}
    assert differing == {'loss', 'loss_mask'}
    assert all(torch.isfinite(grad).all() for grad in grads.values())


@pytest.mark.parametrize('empty', [1, 2])
def test_images_without_instances_train(build, make_batch, losses_of, empty):
    model = build(NAME, **REFINER, score_weight=1.0, ignore_border=1, ignore_semantic='void')
    batch = make_batch()
    for sample in batch['data_samples'][:empty]:
        sample.gt_instances = sample.gt_instances[:0]
    log, grads = losses_of(model, batch)
    assert (log['loss_mask'] > 0) == (empty < 2)
    assert all(torch.isfinite(grad).all() for grad in grads.values())


def test_an_option_on_another_head_is_an_error(build):
    with pytest.raises(ValueError, match='expected a head of type SOLOV2Head, got SOLOHead'):
        build(NAME, **REFINER, mask_head=dict(type='SOLOHead'), ignore_border=1)
