import warnings

import pytest
import torch

from mmp2seg.ops.semantic_scores import image_values
from mmp2seg.testing.host_waits import device_waits, host_waits


def assign(values, place, value):
    values[place] = value


@pytest.mark.parametrize(
    ('call', 'operation'),
    [
        (lambda x: x.sum().item(), '_local_scalar_dense'),
        (lambda x: bool(x.any()), '_local_scalar_dense'),
        (lambda x: x.tolist(), 'tolist'),
        (lambda x: x.cpu(), 'cpu'),
        (lambda x: x.numpy(), 'numpy'),
        (lambda x: x.nonzero(), 'nonzero'),
        (lambda x: torch.where(x > 2), 'nonzero'),
        (lambda x: x[x > 2], 'index'),
        (lambda x: assign(x, x > 2, torch.ones(3)), 'index_put_'),
        (torch.unique, '_unique2'),
        (lambda x: torch.equal(x, x), 'equal'),
        (lambda x: torch.tensor([1, 2]), 'lift_fresh'),
        (lambda x: x.new_tensor([1, 2]), 'lift_fresh'),
        (lambda x: torch.repeat_interleave(x[0].long()), 'repeat_interleave'),
    ],
)
def test_what_waits(call, operation):
    values = torch.arange(6.0).reshape(2, 3)
    with host_waits() as found:
        call(values)
    assert found == [f'{operation} (outside of mmp2seg)']


@pytest.mark.parametrize(
    'call',
    [
        lambda x: x.clamp(0, 3) * 2 + 1,
        lambda x: x[torch.arange(2)],
        lambda x: assign(x, slice(1), 0),
        lambda x: assign(x, x > 2, 0),
        lambda x: x.any() | x.all(),
        lambda x: x.repeat_interleave(2),
    ],
)
def test_what_does_not_wait(call):
    with host_waits() as found:
        call(torch.arange(6.0).reshape(2, 3))
    assert not found


def test_the_place_in_the_package_is_named():
    with host_waits() as found:
        image_values(torch.tensor(3)[None])
    assert len(found) == 1
    assert found[0].startswith('_unique2 (') and 'semantic_scores.py:' in found[0]


def test_on_a_gpu_the_warnings_of_waits_are_collected(monkeypatch):
    modes = []
    monkeypatch.setattr(torch.cuda, 'get_sync_debug_mode', lambda: 0)
    monkeypatch.setattr(torch.cuda, 'set_sync_debug_mode', modes.append)
    with device_waits() as found:
        for _ in range(2):  # the same place counts again
            warnings.warn('called a synchronizing CUDA operation', stacklevel=1)
        warnings.warn('something else', stacklevel=1)
    assert found == ['wait (outside of mmp2seg)'] * 2
    assert modes == ['warn', 0]
