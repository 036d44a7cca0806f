import warnings

import pytest
import torch

from mmp2seg.ops.affinity.triton_trial import on_device, triton_runs


def trial(device):
    raise RuntimeError(f'no kernel for {device}')


def test_a_cpu_runs_no_kernels():
    assert not triton_runs(trial, torch.device('cpu'), what='toy')


def test_without_triton_nothing_is_tried(monkeypatch):
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    assert not triton_runs(trial, torch.device('cuda'), what='toy')


@pytest.fixture
def capability(monkeypatch):
    """Pretend that there are devices; returns a list whose last item is their capability."""
    pytest.importorskip('triton', minversion='3.2')
    values = [(9, 0)]
    monkeypatch.setattr(torch.cuda, 'get_device_capability', lambda index: values[-1])
    monkeypatch.setattr(torch.cuda, 'synchronize', lambda device: None)
    return values


def test_kernels_that_fail_are_told_once_and_not_used(capability):
    with pytest.warns(UserWarning, match='the fused toy does not run on cuda:3.*no kernel for'):
        assert not triton_runs(trial, torch.device('cuda', 3), what='toy')
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert not triton_runs(trial, torch.device('cuda', 3), what='toy')


def test_kernels_that_run_are_tried_once(capability):
    tried = []
    succeeds = tried.append  # one object: each attribute access would make another
    assert [triton_runs(succeeds, torch.device('cuda', 1), what='toy') for _ in range(2)] == [
        True
    ] * 2
    assert tried == [torch.device('cuda', 1)]


def test_an_old_device_is_not_tried(capability):
    capability.append((7, 5))
    assert not triton_runs(print, torch.device('cuda', 2), what='toy')


def test_a_cpu_needs_no_current_device():
    with on_device(torch.device('cpu')):
        pass
