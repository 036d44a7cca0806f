import pytest
import torch

from mmp2seg.analysis.flops import parts as flops_parts
from mmp2seg.analysis.flops.parts import MODULES, PartMeter, clock, metered
from mmp2seg.models.distillation import semantic_scorer
from mmp2seg.models.losses import affinity_loss
from mmp2seg.registry import MODELS
from mmp2seg.testing import tiny_p2seg_config


class _Counter:
    """A reading that tests can increase."""

    def __init__(self):
        self.values = dict(ops=100, seconds=5.0)

    def add(self, ops, seconds=0.0):
        self.values['ops'] += ops
        self.values['seconds'] += seconds

    def read(self):
        return dict(self.values)


def test_an_inner_part_is_not_the_outer_one_s():
    counter = _Counter()
    meter = PartMeter(counter.read)
    counter.add(1)
    with meter.part('outer'):
        counter.add(10, 0.5)
        with meter.part('inner'):
            counter.add(100)
        counter.add(20)
    with meter.part('inner'):
        counter.add(300, 0.25)
    counter.add(2)
    meter.settle()
    assert meter.parts['outer'] == dict(ops=30, seconds=0.5)
    assert meter.parts['inner'] == dict(ops=400, seconds=0.25)
    assert meter.parts[flops_parts.OTHER] == dict(ops=3)


def test_a_part_ends_with_an_error():
    counter = _Counter()
    meter = PartMeter(counter.read)
    with pytest.raises(KeyError), meter.part('part'):
        raise KeyError
    counter.add(7)
    meter.settle()
    assert meter.parts[flops_parts.OTHER]['ops'] == 7


def test_clock_rises():
    read = clock('cpu')
    assert read()['seconds'] < read()['seconds']


def test_the_model_is_as_before():
    torch.manual_seed(0)
    model = MODELS.build(tiny_p2seg_config()).eval()
    functions = semantic_scorer.propagate, affinity_loss.pair_loss
    state = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(RuntimeError, match='stop'), metered(model, clock('cpu')) as meter:
        with torch.no_grad():
            model._forward(torch.zeros(1, 3, 32, 32))
        assert semantic_scorer.propagate is not functions[0]
        assert 'decode' in vars(model.decoder)
        raise RuntimeError('stop')
    assert {'backbone', 'semantic head', 'offset head', 'affinity head'} <= set(meter.parts)
    assert (semantic_scorer.propagate, affinity_loss.pair_loss) == functions
    assert 'decode' not in vars(model.decoder)
    assert 'distill' not in vars(model.distiller)
    for module in model.modules():
        assert not module._forward_hooks and not module._forward_pre_hooks
    assert not model.training
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[name])


def test_other_hooks_of_a_module_are_not_its_own():
    model, counter = MODELS.build(tiny_p2seg_config()).eval(), _Counter()
    model.affinity_head.register_forward_hook(lambda *_: counter.add(5))
    model.affinity_head.conv.register_forward_hook(lambda *_: counter.add(70))
    with torch.no_grad(), metered(model, counter.read) as meter:
        model._forward(torch.zeros(1, 3, 32, 32))
    assert meter.parts['affinity head']['ops'] == 70
    assert meter.parts[flops_parts.OTHER]['ops'] == 5


def test_orders_hold_every_part():
    functions = {flops_parts.PROPAGATION, flops_parts.OTHER}
    assert set(flops_parts.TEST_PARTS) == set(MODULES) - {'losses'} | functions | {
        flops_parts.GROUPING
    }
    assert set(flops_parts.TRAIN_PARTS) == set(MODULES) | functions | {
        flops_parts.TARGETS,
        flops_parts.AFFINITY_LOSS,
        flops_parts.BACKWARD,
    }
