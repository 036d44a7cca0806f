import copy

import pytest
import torch
from mmengine.registry import DefaultScope
from torch import nn

from mmp2seg.models.pretrained import PretrainedWeightsError, require_pretrained
from mmp2seg.registry import MODELS

ARCHS = [f'lite{index}' for index in range(5)]
CHANNELS = {
    'lite0': (16, 24, 40, 112, 320),
    'lite1': (16, 24, 40, 112, 320),
    'lite2': (16, 24, 48, 120, 352),
    'lite3': (24, 32, 48, 136, 384),
    'lite4': (24, 32, 56, 160, 448),
}


def _backbone(arch='lite0', **options):
    return MODELS.build(dict(type='mmp2seg.EfficientNetLite', arch=arch, **options))


def _randomise(module, seed=0):
    """Set batch norms to random statistics, so that no layer is the identity."""
    generator = torch.Generator().manual_seed(seed)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.2, generator=generator)
            layer.running_var.uniform_(0.5, 2, generator=generator)
            nn.init.uniform_(layer.weight, 0.5, 1.5, generator=generator)
            nn.init.normal_(layer.bias, 0, 0.2, generator=generator)


def _images(*size, dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, 3, *size, generator=generator, dtype=dtype)


@pytest.fixture(scope='module')
def reference_of():
    """Makes the reference implementation of an arch, with random weights and no drop-connect."""
    package = pytest.importorskip('efficientnet_lite_pytorch')

    def make(arch, seed=0):
        torch.manual_seed(seed)
        network = package.EfficientNet.from_name(
            f'efficientnet-{arch}', image_size=None, drop_connect_rate=0.0
        )
        network.double()
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d):
                # torch's default is so small that a deep network's output is only the biases
                nn.init.kaiming_normal_(layer.weight)
        _randomise(network, seed)
        return network.eval()

    return make


def _reference_outputs(network, images):
    """Outputs of the last block of each stride."""
    feature = network._swish(network._bn0(network._conv_stem(images)))
    outputs = [feature]
    for block in network._blocks:
        feature = block(feature)
        if feature.shape[-1] < outputs[-1].shape[-1]:
            outputs.append(feature)
        outputs[-1] = feature
    return outputs


def _assert_close(found, expected, tolerance):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
        assert other.std() > 1e-2
        assert (one - other).abs().max() <= tolerance * other.abs().max()


@pytest.mark.parametrize(('dtype', 'tolerance'), [(torch.float32, 1e-5), (torch.float64, 1e-13)])
@pytest.mark.parametrize('size', [(64, 96), (65, 67), (33, 50), (130, 47)])
def test_equals_the_reference(reference_of, size, dtype, tolerance):
    reference = reference_of('lite0').to(dtype)
    backbone = _backbone(out_indices=range(5)).to(dtype).eval()
    backbone.load_state_dict(reference.state_dict())
    images = _images(*size, dtype=dtype)
    with torch.no_grad():
        _assert_close(backbone(images), _reference_outputs(reference, images), tolerance)


@pytest.mark.parametrize('arch', ARCHS)
def test_every_arch_equals_the_reference(reference_of, arch):
    reference = reference_of(arch, seed=1)
    backbone = _backbone(arch, out_indices=range(5)).double().eval()
    backbone.load_state_dict(reference.state_dict())
    images = _images(45, 63, dtype=torch.float64)
    with torch.no_grad():
        _assert_close(backbone(images), _reference_outputs(reference, images), 1e-13)


def test_gradients_and_statistics_of_training_equal_the_reference(reference_of):
    reference = reference_of('lite0', seed=2).train()
    backbone = _backbone(out_indices=range(5)).double()
    backbone.load_state_dict(reference.state_dict())
    images = _images(49, 64, dtype=torch.float64)
    expected = _reference_outputs(reference, images)
    found = backbone.train()(images)
    # batch norms over the few pixels of stride 32 magnify rounding
    _assert_close(found, expected, 1e-10)
    for outputs in (expected, found):
        sum((output**2).mean() for output in outputs).backward()
    released = dict(reference.named_parameters())
    for name, parameter in backbone.named_parameters():
        scale = released[name].grad.abs().max()
        assert (parameter.grad - released[name].grad).abs().max() <= 1e-8 * scale
    state = reference.state_dict()
    for name, value in backbone.state_dict().items():
        if 'running' in name:
            assert torch.allclose(value, state[name], rtol=1e-9)


@pytest.mark.parametrize('arch', ARCHS)
def test_channels_of_the_docstring_are_those_of_the_outputs(arch):
    backbone = _backbone(arch, out_indices=range(5)).eval()
    assert backbone.out_channels == CHANNELS[arch]
    with torch.no_grad():
        outputs = backbone(_images(64, 33))
    assert [output.shape[1] for output in outputs] == list(CHANNELS[arch])
    sizes = [(32, 17), (16, 9), (8, 5), (4, 3), (2, 2)]
    assert [tuple(output.shape[2:]) for output in outputs] == sizes
    rows = [line.split() for line in type(backbone).__doc__.splitlines()]
    (row,) = (line for line in rows if line[:1] == [arch])
    numbers = [int(word.rstrip(',')) for word in row[1:]]
    assert tuple(numbers[:5]) == CHANNELS[arch]
    assert numbers[5:] == [end - 1 for end in backbone._ends]


def test_the_smallest_image():
    with torch.no_grad():
        outputs = _backbone().eval()(_images(1, 1))
    assert [tuple(output.shape[2:]) for output in outputs] == [(1, 1)] * 4


@pytest.mark.parametrize('scope', ['mmdet', 'mmseg', 'mmp2seg'])
def test_out_indices_select_stages_and_later_ones_are_not_built(scope):
    whole = _backbone(out_indices=range(5)).eval()
    with DefaultScope.overwrite_default_scope(scope):
        part = _backbone(out_indices=(1, 3)).eval()
    part.load_state_dict(whole.state_dict())
    assert part.out_channels == (24, 112)
    assert len(part._blocks) == 11
    with torch.no_grad():
        expected = whole(_images(40, 40))
        for found, output in zip(part(_images(40, 40)), expected[1::2], strict=True):
            assert torch.equal(found, output)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(arch='lite5'), "expected an arch of lite0, lite1, .*, got 'lite5'"),
        (dict(out_indices=()), r'expected out_indices of 0 to 4, ascending, got \(\)'),
        (dict(out_indices=(3, 2)), r'got \(3, 2\)'),
        (dict(out_indices=(2, 2)), r'got \(2, 2\)'),
        (dict(out_indices=(4, 5)), r'got \(4, 5\)'),
        (dict(frozen_stages=5), 'expected frozen_stages of -1 to 4, .*, got 5'),
        (dict(frozen_stages=-2), 'got -2'),
        (dict(frozen_stages=4, out_indices=(1, 3)), 'frozen_stages of -1 to 3, .* got 4'),
    ],
)
def test_wrong_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        _backbone(**options)


def _step(backbone, seed=0):
    """Train one step; return names of the changed parameters and of the changed statistics."""
    torch.manual_seed(seed)
    backbone.init_weights()  # otherwise gradients without batch statistics are too small
    before = copy.deepcopy(backbone.state_dict())
    parameters = [p for p in backbone.parameters() if p.requires_grad]
    outputs = backbone.train()(_images(64, 64, seed=seed))
    sum(output.square().mean() for output in outputs).backward()
    torch.optim.SGD(parameters, lr=0.1).step()
    after = backbone.state_dict()
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    changed = {name for name in changed if not name.endswith('num_batches_tracked')}
    statistics = {name for name in changed if 'running' in name}
    return changed - statistics, statistics


def _is_frozen(name, last_block):
    parts = name.split('.')
    return parts[0] != '_blocks' or int(parts[1]) <= last_block


@pytest.mark.parametrize(('frozen_stages', 'last_block'), [(0, 0), (1, 2), (3, 10)])
def test_frozen_stages_keep_weights_and_statistics(frozen_stages, last_block):
    backbone = _backbone(frozen_stages=frozen_stages)
    backbone.train(False).train(True)
    weights, statistics = _step(backbone)
    assert weights and statistics
    assert not [name for name in weights | statistics if _is_frozen(name, last_block)]
    trained = {name for name, p in backbone.named_parameters() if p.requires_grad}
    assert trained == weights
    everything = {name for name, _ in backbone.named_parameters()}
    assert {name for name in everything if not _is_frozen(name, last_block)} == trained


def test_by_default_all_is_trained():
    backbone = _backbone()
    weights, statistics = _step(backbone)
    assert weights == {name for name, _ in backbone.named_parameters()}
    assert statistics == {name for name, _ in backbone.named_buffers() if 'running' in name}


def test_norm_eval_keeps_the_statistics_and_trains_the_weights():
    backbone = _backbone(norm_eval=True)
    weights, statistics = _step(backbone)
    assert statistics == set()
    assert weights == {name for name, _ in backbone.named_parameters()}
    assert not backbone._blocks[3]._bn0.training
    assert backbone._blocks[3].training


def test_norm_cfg_replaces_batch_norm():
    backbone = _backbone(norm_cfg=dict(type='GN', num_groups=8))
    norms = [module for module in backbone.modules() if isinstance(module, nn.GroupNorm)]
    assert len(norms) == 1 + 3 * 16 - 1
    assert not any(isinstance(module, nn.BatchNorm2d) for module in backbone.modules())
    assert {norm.eps for norm in norms} == {1e-3}
    frozen = _backbone(norm_cfg=dict(type='BN', eps=1e-4, requires_grad=False))
    assert {module.eps for module in frozen.modules() if isinstance(module, nn.BatchNorm2d)} == {
        1e-4
    }
    assert not frozen._bn0.weight.requires_grad


def test_checkpointing_changes_no_gradient():
    plain = _backbone(norm_eval=True, frozen_stages=0).double()
    _randomise(plain)
    saving = _backbone(norm_eval=True, frozen_stages=0, with_cp=True).double()
    saving.load_state_dict(plain.state_dict())
    calls = []
    saving._blocks[5].register_forward_pre_hook(lambda *_: calls.append(1))
    for backbone in (plain, saving):
        outputs = backbone.train()(_images(64, 48, dtype=torch.float64))
        sum(output.square().mean() for output in outputs).backward()
    assert len(calls) == 2  # once more in the backward pass
    for (name, one), other in zip(plain.named_parameters(), saving.parameters(), strict=True):
        assert (one.grad is None) == (other.grad is None), name
        if one.grad is not None:
            assert torch.allclose(one.grad, other.grad, rtol=1e-12), name
    saving.eval()
    with torch.no_grad():
        saving(_images(32, 32, dtype=torch.float64))
    assert len(calls) == 3


def test_gradient_of_the_image():
    backbone = _backbone(out_indices=(0, 1)).double().eval()
    _randomise(backbone)
    images = _images(5, 6, dtype=torch.float64)[:1].requires_grad_()
    assert torch.autograd.gradcheck(backbone, images, fast_mode=True)


def test_channels_last_gives_the_same():
    backbone = _backbone(out_indices=range(5), norm_eval=True)
    _randomise(backbone)
    other = copy.deepcopy(backbone).to(memory_format=torch.channels_last)
    images = _images(70, 81)
    outputs = backbone.train()(images)
    others = other.train()(images.contiguous(memory_format=torch.channels_last))
    assert others[0].is_contiguous(memory_format=torch.channels_last)
    _assert_close(others, [output.detach() for output in outputs], 1e-5)
    for maps in (outputs, others):
        sum(one.square().mean() for one in maps).backward()
    for one, two in zip(backbone.parameters(), other.parameters(), strict=True):
        assert (one.grad - two.grad).abs().max() <= 1e-4 * one.grad.abs().max()


def test_random_features_do_not_vanish_in_evaluation_mode():
    backbone = _backbone('lite4')
    torch.manual_seed(0)
    backbone.init_weights()
    with torch.no_grad():
        outputs = backbone.eval()(_images(64, 64))
    assert all(0.05 < output.std() < 50 for output in outputs)


# Weights. The files of the packages have the names of the reference implementation.


def _released_state(backbone):
    state = copy.deepcopy(backbone.state_dict())
    state['_conv_head.weight'] = torch.zeros(1280, 320, 1, 1)
    state |= {f'_bn1.{name}': torch.zeros(1280) for name in ('weight', 'bias', 'running_mean')}
    return state | {'_fc.weight': torch.zeros(1000, 1280), '_fc.bias': torch.zeros(1000)}


@pytest.fixture
def released(tmp_path):
    """A weight file as released, and the backbone that it was made from."""
    backbone = _backbone(out_indices=range(5))
    _randomise(backbone, seed=5)
    torch.save(_released_state(backbone), tmp_path / 'efficientnet-lite0.pth')
    return str(tmp_path / 'efficientnet-lite0.pth'), backbone


def _is_same(backbone, other):
    state = other.state_dict()
    return all(torch.equal(value, state[name]) for name, value in backbone.state_dict().items())


def test_released_weights_load_from_a_package(released, tmp_path, monkeypatch):
    _, whole = released
    folder = tmp_path / 'site' / 'released_weights_of_lite0'
    folder.mkdir(parents=True)
    (folder / '__init__.py').write_text('')
    torch.save(_released_state(whole), folder / 'weights.pth')
    monkeypatch.syspath_prepend(str(folder.parent))
    init_cfg = dict(type='Pretrained', checkpoint='package://released_weights_of_lite0')
    backbone = _backbone(out_indices=(2, 3), init_cfg=init_cfg)
    backbone.init_weights()
    assert _is_same(backbone, whole)


def test_the_classifier_and_later_blocks_load_without_a_warning(released, caplog):
    path, whole = released
    backbone = _backbone(out_indices=(1, 2), init_cfg=dict(type='Pretrained', checkpoint=path))
    with caplog.at_level('WARNING'):
        backbone.init_weights()
    assert _is_same(backbone, whole)
    assert 'unexpected' not in caplog.text and 'missing' not in caplog.text
    network = nn.ModuleDict({'backbone': _backbone(out_indices=(1, 2)), 'head': nn.Conv2d(1, 1, 1)})
    state = {f'backbone.{name}': value for name, value in torch.load(path).items()}
    state |= {f'head.{name}': value for name, value in network['head'].state_dict().items()}
    assert network.load_state_dict(state, strict=True)
    assert '_fc.weight' in torch.load(path) and 'backbone._fc.weight' in state
    with pytest.raises(RuntimeError, match='Unexpected key.*backbone._other.weight'):
        network.load_state_dict({**state, 'backbone._other.weight': torch.zeros(1)})


@pytest.mark.parametrize('name', ['_conv_stem.weight', '_blocks.5._bn1.running_var'])
def test_incomplete_weights_are_an_error_in_any_detector(released, tmp_path, name):
    path, _ = released
    state = torch.load(path)
    del state[name]
    torch.save(state, path)
    backbone = _backbone(init_cfg=dict(type='Pretrained', checkpoint=path))
    message = rf'model\.backbone\.init_cfg.* for 1 of \d+ entries, the first is {name}'
    with pytest.raises(PretrainedWeightsError, match=message):
        backbone.init_weights()


def test_weights_of_another_arch_are_an_error(released):
    path, _ = released
    backbone = _backbone('lite2', init_cfg=dict(type='Pretrained', checkpoint=path))
    with pytest.raises(PretrainedWeightsError, match='no entry of the right shape'):
        require_pretrained(nn.ModuleDict({'backbone': backbone}))


def test_missing_package_of_the_backbone():
    init_cfg = dict(type='Pretrained', checkpoint='package://weights_of_nobody')
    backbone = _backbone(init_cfg=init_cfg)
    with pytest.raises(PretrainedWeightsError, match=r'^model\.backbone\.init_cfg: the package we'):
        backbone.init_weights()
