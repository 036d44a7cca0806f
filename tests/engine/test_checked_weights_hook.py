from types import SimpleNamespace

import pytest
import torch
from torch import nn

from mmp2seg.engine.checked_weights_hook import CheckedWeightsHook
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
