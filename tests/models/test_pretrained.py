import logging
from urllib.error import URLError

import mmengine.runner.checkpoint
import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.model import BaseModule, PretrainedInit
from torch import nn

from mmp2seg.models.pretrained import init_weights_quietly, require_pretrained


class Trunk(BaseModule):
    def __init__(self, init_cfg=None):
        super().__init__(init_cfg)
        self.conv = nn.Conv2d(3, 4, 3, bias=False)
        self.bn = nn.BatchNorm2d(4)


class Network(BaseModule):
    def __init__(self, trunk_cfg):
        super().__init__(dict(type='Normal', layer='Conv2d'))
        self.trunk = Trunk(trunk_cfg)
        self.head = nn.Conv2d(4, 2, 1)


def _weights():
    return {name: torch.full_like(value, 3) for name, value in Trunk().state_dict().items()}


@pytest.fixture
def network_from(tmp_path):
    """Make a network whose trunk starts from a file with the given content."""

    def make(content, **options):
        path = str(tmp_path / 'weights.pth')
        torch.save(content, path)
        return Network(dict(type='Pretrained', checkpoint=path, **options))

    return make


def _without(state, *names):
    return {name: value for name, value in state.items() if name not in names}


@pytest.mark.parametrize(
    ('content', 'options'),
    [
        (_weights(), {}),
        ({'state_dict': {f'module.{name}': value for name, value in _weights().items()}}, {}),
        ({**_weights(), 'fc.weight': torch.zeros(9)}, {}),  # classifier, unused
        (_without(_weights(), 'bn.num_batches_tracked'), {}),
        ({f'trunk.{name}': value for name, value in _weights().items()}, {'prefix': 'trunk'}),
    ],
    ids=['plain', 'wrapped', 'with classifier', 'without counter', 'prefix'],
)
def test_weights_that_fit_pass_and_are_what_mmengine_then_loads(network_from, content, options):
    network = network_from(content, **options)
    require_pretrained(network)
    network.init_weights()
    for name in ('conv.weight', 'bn.weight', 'bn.running_var'):
        assert (network.trunk.state_dict()[name] == 3).all()


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ({'other': torch.zeros(1)}, 'for 5 of 5 entries, the first is conv.weight'),
        (_without(_weights(), 'bn.running_mean'), 'for 1 of 5 entries, the first is bn.running_me'),
        ({**_weights(), 'conv.weight': torch.zeros(4, 1, 3, 3)}, 'the first is conv.weight'),
        ([1, 2], 'cannot be loaded'),
    ],
    ids=['of another network', 'incomplete', 'shape', 'no weights'],
)
def test_weights_that_do_not_fit_are_an_error_instead_of_a_random_start(
    network_from, content, message
):
    with pytest.raises(RuntimeError, match=message) as info:
        require_pretrained(network_from(content))
    assert 'weights.pth' in str(info.value)
    assert str(info.value).endswith('start from random weights with model.trunk.init_cfg=None')


@pytest.mark.parametrize(
    'checkpoint',
    [
        'not/there.pth',
        'https://example.invalid/weights.pth',
        'open-mmlab://msra/hrnetv2_w48',
        'open-mmlab://no/such/name',
    ],
)
def test_missing_weights_are_an_error_that_says_what_to_do(monkeypatch, checkpoint):
    def offline(*args, **kwargs):
        raise URLError('no network')

    monkeypatch.setattr(mmengine.runner.checkpoint, 'load_url', offline)
    network = Network([dict(type=PretrainedInit, checkpoint=checkpoint)])
    with pytest.raises(RuntimeError, match=r'set model\.trunk\.init_cfg\.checkpoint to the file'):
        require_pretrained(network)


def test_without_pretrained_weights_nothing_is_read(monkeypatch):
    read = []
    monkeypatch.setattr(
        'mmp2seg.models.pretrained.CheckpointLoader.load_checkpoint',
        lambda *args, **kwargs: read.append(args),
    )
    require_pretrained(Network(None))
    require_pretrained(nn.Linear(1, 1))
    assert read == []


def test_output_norms_may_be_new(network_from):
    network = network_from(_weights())
    network.trunk.norm3 = nn.LayerNorm(4)
    require_pretrained(network)
    network.trunk.conv2 = nn.Conv2d(4, 4, 1)
    with pytest.raises(RuntimeError, match='conv2'):
        require_pretrained(network)


def test_weights_that_are_renamed_on_loading_only_have_to_be_read(network_from, tmp_path):
    network = network_from({'layers.0.weight': torch.zeros(2)})
    with pytest.raises(RuntimeError):
        require_pretrained(network)
    network.trunk.convert_weights = True
    require_pretrained(network)
    (tmp_path / 'weights.pth').unlink()
    with pytest.raises(RuntimeError, match='cannot be loaded'):
        require_pretrained(network)


def test_quiet_initialisation_runs_and_restores_the_level():
    class Part(BaseModule):
        def init_weights(self):
            self.level = MMLogger.get_current_instance().level

    level = MMLogger.get_current_instance().level
    part = Part()
    init_weights_quietly(part)
    assert part.level == logging.WARNING
    assert MMLogger.get_current_instance().level == level
