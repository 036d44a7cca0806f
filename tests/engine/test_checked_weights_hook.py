from types import SimpleNamespace

import pytest
import torch
from mmengine.runner import BaseLoop
from torch import nn

from mmp2seg.engine.checked_weights_hook import CheckedStartHook, CheckedWeightsHook
from mmp2seg.models.pretrained import WrongCheckpointError
from mmp2seg.registry import HOOKS


def runner_of(model, classes=('cat', 'dog')):
    dataset = SimpleNamespace(metainfo=dict(classes=classes))
    loop = SimpleNamespace(dataloader=SimpleNamespace(dataset=dataset))
    return SimpleNamespace(model=model, _load_from='x.pth', test_loop=loop)


def check(model, checkpoint, **options):
    CheckedWeightsHook().after_load_checkpoint(runner_of(model, **options), checkpoint)


def test_weights_of_the_network_pass_with_and_without_wrappers():
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    state = model.state_dict()
    wrapped = nn.Module()
    wrapped.module = nn.Module()
    wrapped.module.module = model
    for one in (model, wrapped):
        check(one, dict(state_dict=state))
        check(one, {f'module.{name}': value for name, value in state.items()})


@pytest.mark.parametrize('state', [{}, {'a': 1}, {'weight': torch.zeros(9, 2)}])
def test_other_weights_are_named(state):
    with pytest.raises(
        WrongCheckpointError, match=r'^x\.pth: expected the weights.*2 of 2.*weight'
    ):
        check(nn.Linear(2, 3), dict(state_dict=state))


def test_what_inference_does_not_use_may_be_missing():
    model = nn.ModuleDict(dict(a=nn.Linear(2, 3), b=nn.Linear(2, 3)))
    state = {f'a.{name}': value for name, value in model['a'].state_dict().items()}
    with pytest.raises(WrongCheckpointError, match=r'b\.weight'):
        check(model, dict(state_dict=state))
    model.unused_at_inference = ('b.',)
    check(model, dict(state_dict=state))


def test_classes_and_their_order():
    model = nn.Linear(2, 3)
    for names in (['cat', 'dog'], None):
        meta = dict(dataset_meta=dict(classes=names))
        check(model, dict(state_dict=model.state_dict(), meta=meta))
    for names in (('dog', 'cat'), ('cat',)):
        checkpoint = dict(
            state_dict=model.state_dict(), meta=dict(dataset_meta=dict(classes=names))
        )
        with pytest.raises(WrongCheckpointError, match='the test data have cat, dog'):
            check(model, checkpoint)
        check(model, checkpoint, classes=None)


def test_it_is_registered():
    assert HOOKS.get('mmp2seg.CheckedWeightsHook') is CheckedWeightsHook


def start(model, state, *, resume=False, trained=None, given=('cat', 'dog'), loop=BaseLoop):
    """Check a checkpoint that a training starts from; returns the warnings."""
    runner, warnings = runner_of(model), []
    runner._train_loop = object.__new__(type('Loop', (loop,), dict(run=None)))
    runner._train_loop.__dict__.update(_dataloader=None)
    dataset = SimpleNamespace(metainfo=dict(classes=given))
    type(runner._train_loop).dataloader = SimpleNamespace(dataset=dataset)
    runner._resume = resume
    runner.logger = SimpleNamespace(warning=warnings.append)
    meta = dict(dataset_meta=dict(classes=trained))
    CheckedStartHook().after_load_checkpoint(runner, dict(state_dict=state, meta=meta))
    return warnings


def network():
    return nn.ModuleDict(dict(body=nn.Linear(2, 3), head=nn.Linear(3, 4)))


def test_a_start_from_weights_that_fit_is_silent():
    model = network()
    assert start(model, model.state_dict(), trained=['cat', 'dog']) == []
    assert start(model, {f'module.{k}': v for k, v in model.state_dict().items()}) == []
    assert start(model, model.state_dict(), resume=True, trained=['cat', 'dog']) == []


def test_a_start_with_other_heads_is_one_warning():
    model = network()
    state = {**model.state_dict(), 'head.weight': torch.zeros(9, 3)}
    del state['head.bias']
    (warning,) = start(model, state)
    assert warning == (
        'x.pth: 2 of 4 entries of the network are not in the file, or have another shape there, '
        'and start as initialised: head'
    )
    with pytest.raises(WrongCheckpointError, match=r'2 of 4 entries are missing.*head\.weight'):
        start(model, state, resume=True)


def test_a_start_from_nothing_is_refused():
    message = (
        r'none of its 4 entries, such as body\.weight, is in the file, which has conv1\.weight'
    )
    with pytest.raises(WrongCheckpointError, match=message):
        start(network(), {'conv1.weight': torch.zeros(3)})
    with pytest.raises(WrongCheckpointError, match='none of its 4 entries'):
        start(network(), {})
    assert start(nn.ReLU(), {'a': torch.zeros(1)}) == []  # it has no weights


def test_classes_of_a_start():
    model = network()
    state = model.state_dict()
    with pytest.raises(WrongCheckpointError, match='in their order: dog, cat; the training data'):
        start(model, state, trained=['dog', 'cat'])
    (warning,) = start(model, state, trained=['fox', 'dog'])
    assert warning == 'x.pth: trained on other classes: fox, dog; the training data have cat, dog'
    assert start(model, state, trained=['dog', 'cat'], given=None) == []


def test_a_test_is_no_start():
    assert start(network(), {}, loop=object) == []


def test_both_are_registered():
    assert HOOKS.get('mmp2seg.CheckedStartHook') is CheckedStartHook
