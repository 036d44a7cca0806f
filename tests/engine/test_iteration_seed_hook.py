from types import SimpleNamespace

import torch

from mmp2seg.engine import iteration_seed_hook
from mmp2seg.engine.iteration_seed_hook import IterationSeedHook
from mmp2seg.registry import HOOKS


def number(monkeypatch, *, seed=1, iteration=0, rank=0):
    monkeypatch.setattr(iteration_seed_hook, 'get_rank', lambda: rank)
    IterationSeedHook().before_train_iter(SimpleNamespace(seed=seed, iter=iteration), 0, {})
    return torch.rand(()).item()


def test_the_seed_is_of_seed_iteration_and_rank(monkeypatch):
    first = number(monkeypatch)
    assert number(monkeypatch) == first
    others = [
        number(monkeypatch, **change) for change in (dict(seed=2), dict(iteration=1), dict(rank=1))
    ]
    assert len({first, *others}) == 4


def test_it_is_registered():
    assert HOOKS.get('mmp2seg.IterationSeedHook') is IterationSeedHook
