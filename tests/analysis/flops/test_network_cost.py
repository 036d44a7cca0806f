from pathlib import Path

import pytest
import torch
from mmengine.dataset import pseudo_collate

from mmp2seg.analysis.benchmarks.measuring import Settings
from mmp2seg.analysis.benchmarks.scene import make_scene, training_sample
from mmp2seg.analysis.flops import parts as flops_parts
from mmp2seg.analysis.flops.counter import ELEMENTWISE, macs
from mmp2seg.analysis.flops.formula import streamed_loss_macs, streamed_propagation_macs
from mmp2seg.analysis.flops.network_cost import (
    TOTAL,
    FlopsCase,
    NetworkCost,
    PartCost,
    count_parts,
    make_call,
    measure_networks,
)
from mmp2seg.registry import MODELS
from mmp2seg.testing import tiny_p2seg_config

ROOT = Path(__file__).resolve().parents[3]
CONFIG = str(ROOT / 'configs' / 'ablations' / 'tiny_shapes_s2i_i2s.py')
PIXELS, CHANNELS, SCORES = 16 * 24, 8, 3  # affinity of the tiny model for 32 x 48


def _model(**options):
    torch.manual_seed(0)
    return MODELS.build(tiny_p2seg_config(**options))


def _count(model, *, batch=1, phase='test'):
    scene = make_scene(4, (32, 48), num_classes=2)
    sample = training_sample(scene)
    return count_parts(model, make_call(model, [sample] * batch, phase))


def test_the_affinity_head_by_hand():
    """A 3 x 3 convolution from 4 to 8 channels, on half of 32 x 48."""
    head = _count(_model())['affinity head']
    assert macs(head) == head['convolution'] == PIXELS * 8 * 4 * 9


@pytest.mark.parametrize('rounds', [0, 1, 2])
def test_propagation_counts_for_each_round(rounds):
    counts = _count(_model(test_cfg=dict(rounds=rounds)))
    assert (flops_parts.PROPAGATION in counts) == (rounds > 0)
    if rounds:
        found = counts[flops_parts.PROPAGATION]
        assert macs(found) == rounds * streamed_propagation_macs(PIXELS, CHANNELS, SCORES).total
        assert found[ELEMENTWISE] > rounds * PIXELS**2 / 2  # only the sigmoids


def test_grouping_counts_and_is_no_product():
    grouping = _count(_model())[flops_parts.GROUPING]
    assert grouping[ELEMENTWISE] > 32 * 48
    assert macs(grouping) == 0


@pytest.mark.parametrize('phase', ['test', 'train'])
def test_a_batch_of_two_is_twice_one(phase):
    one, two = (_count(_model(), batch=batch, phase=phase) for batch in (1, 2))
    assert one.keys() == two.keys()
    for name in one:
        assert macs(two[name]) == 2 * macs(one[name])


def test_inference_leaves_the_model_as_it_was():
    model = _model(test_cfg=dict(rounds=1)).eval()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    _count(model)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert all(param.grad is None for param in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())


def test_counting_changes_no_result():
    model = _model(test_cfg=dict(rounds=1)).eval()
    sample = training_sample(make_scene(4, (32, 48), num_classes=2))
    call, found = make_call(model, [sample], 'test'), []
    count_parts(model, lambda meter: found.append((call(meter), _masks(model, sample))[1]))
    assert torch.equal(found[0], _masks(model, sample))


def _masks(model, sample):
    with torch.no_grad():
        (result,) = model.test_step(pseudo_collate([sample]))
    return result.pred_instances.masks


def test_training_counts_the_affinity_loss_and_the_backward_pass():
    model = _model()
    counts = _count(model, phase='train')
    loss = counts[flops_parts.AFFINITY_LOSS]
    # Pixels of the background are in no pair.
    assert 0 < macs(loss) < streamed_loss_macs(PIXELS, CHANNELS).total
    heads = {'backbone', 'semantic head', 'offset head', 'affinity head'}
    forward = sum(macs(counts[name]) for name in heads)
    # Gradients of inputs and weights, but not of the image.
    assert 1.5 * forward < macs(counts[flops_parts.BACKWARD]) < 2 * forward
    assert {flops_parts.TARGETS, 'losses'} <= set(counts)
    assert flops_parts.GROUPING not in counts
    assert all(param.grad is None for param in model.parameters())
    assert model.training


def test_networks_without_and_with_affinity():
    names = []
    case = FlopsCase(CONFIG, shape=(60, 90), points=4)
    costs = measure_networks(case, Settings(repeat=1), on_start=names.append)
    assert names == ['without affinity', 'with affinity, 0 rounds', 'with affinity, 1 round']
    assert names == [cost.name for cost in costs]
    without, none, one = costs
    assert one.input_shape == (64, 96)
    assert (without.embedding_shape, one.embedding_shape) == (None, (64, 16, 24))
    assert (none.rounds, one.rounds, one.num_scores) == (0, 1, 4)
    head = none.part('affinity head')
    assert none.part(TOTAL).params - without.part(TOTAL).params == head.params > 0
    assert none.part(TOTAL).macs - without.part(TOTAL).macs == head.macs
    propagation = one.part(flops_parts.PROPAGATION)
    assert one.part(TOTAL).macs - none.part(TOTAL).macs == propagation.macs
    assert sum(propagation.terms.values()) == propagation.macs
    for cost in costs:
        assert cost.parts[-1].name == TOTAL
        assert all(part.seconds >= 0 for part in cost.parts)
        assert cost.part(TOTAL).flops == pytest.approx(sum(part.flops for part in cost.parts[:-1]))


def test_costs_are_per_image():
    one, two = (
        measure_networks(FlopsCase(CONFIG, shape=(32, 48), batch=batch, rounds=(1,)), None)[-1]
        for batch in (1, 2)
    )
    assert two.part(TOTAL).macs == one.part(TOTAL).macs
    for name in ('backbone', 'semantic head', 'affinity head', 'propagation'):
        assert two.part(name).flops == one.part(name).flops
    assert two.part(TOTAL).flops == pytest.approx(one.part(TOTAL).flops, rel=1e-3)
    assert two.part(TOTAL).seconds is None


def test_training_is_two_networks():
    without, with_affinity = measure_networks(
        FlopsCase(CONFIG, shape=(32, 48), phase='train'), None
    )
    assert (without.name, with_affinity.name) == ('without affinity', 'with affinity')
    loss = with_affinity.part(flops_parts.AFFINITY_LOSS)
    assert set(loss.terms) == {'F^T F', 'gradient and sum'}
    assert all(part.name != flops_parts.AFFINITY_LOSS for part in without.parts)


def test_a_config_without_affinity_head_is_one_network():
    case = FlopsCase(CONFIG, {'model.affinity_head': None}, shape=(32, 48))
    assert [cost.name for cost in measure_networks(case, None)] == ['without affinity']


def test_another_kind_of_model_is_refused():
    config = str(ROOT / 'configs' / 'refine' / 'mask-rcnn_tiny_shapes.py')
    with pytest.raises(ValueError, match='mask-rcnn_tiny_shapes.py.*got MaskRCNN'):
        measure_networks(FlopsCase(config), None)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(phase='val'), "expected phase in .*, got 'val'"),
        (dict(points=0), 'expected points >= 1, got 0'),
        (dict(batch=0), 'expected batch >= 1, got 0'),
        (dict(shape=(0, 32)), r'got \(0, 32\)'),
        (dict(rounds=(1, -1)), r'expected rounds >= 0, got \[1, -1\]'),
        (dict(rounds=()), r'got \[\]'),
    ],
)
def test_mistakes_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        FlopsCase('config.py', **options)


def test_a_multiply_add_is_two_operations():
    part = PartCost('backbone', params=3, macs=10, elementwise=4)
    assert part.flops == 24
    assert part.as_dict()['flops'] == 24


def test_parts_by_name():
    parts = tuple(PartCost(name, 0, 1, 0) for name in ('a', 'b'))
    cost = NetworkCost('n', (32, 32), None, 3, 0, parts)
    assert cost.part('b') is parts[1]
    assert [part['name'] for part in cost.as_dict()['parts']] == ['a', 'b']
