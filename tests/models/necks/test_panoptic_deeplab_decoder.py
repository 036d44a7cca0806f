import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mmp2seg.registry import MODELS


def _decoder(**options):
    config = dict(
        type='mmp2seg.PanopticDeepLabDecoder',
        in_channels=(4, 6, 8),
        low_level_channels=(3, 2),
        channels=5,
        aspp_channels=7,
    )
    return MODELS.build({**config, **options})


def test_decodes_to_the_finest_resolution_at_odd_sizes():
    features = [torch.rand(2, 4, 13, 9), torch.rand(2, 6, 7, 5), torch.rand(2, 8, 4, 3)]
    assert _decoder()(features).shape == (2, 5, 13, 9)


def test_trains_on_one_image_of_one_coarse_pixel():
    decoder = _decoder(dropout=0.0)
    features = [torch.rand(2, 4, 4, 4), torch.rand(2, 6, 2, 2), torch.rand(2, 8, 1, 1)]
    decoder(features).sum().backward()
    assert decoder.aspp.pooling.conv.weight.grad is not None


def test_shapes_are_those_of_the_released_semantic_decoder():
    """ASPP 3/6/9, projections 128/64/32, separable 5 x 5 fusions."""
    decoder = MODELS.build(dict(type='mmp2seg.PanopticDeepLabDecoder'))
    kernels = [
        list(value.shape) for name, value in decoder.state_dict().items() if value.dim() == 4
    ]
    expected = [
        [256, 2048, 1, 1],
        *[[256, 2048, 3, 3]] * 3,
        [256, 2048, 1, 1],
        [256, 1280, 1, 1],
        *[[128, 1024, 1, 1], [64, 512, 1, 1], [32, 256, 1, 1]],
        *[[384, 1, 5, 5], [256, 384, 1, 1]],
        *[[320, 1, 5, 5], [256, 320, 1, 1]],
        *[[288, 1, 5, 5], [256, 288, 1, 1]],
    ]
    assert kernels == expected
    assert [branch.conv.dilation[0] for branch in decoder.aspp.branches] == [1, 3, 6, 9]
    assert all(
        module.momentum == 0.01
        for module in decoder.modules()
        if isinstance(module, torch.nn.BatchNorm2d)
    )


def test_wrong_number_of_projections():
    with pytest.raises(ValueError, match='expected 2 low_level_channels for 3 features, got 1'):
        _decoder(low_level_channels=(3,))


def test_default_initialisation_is_the_released_one():
    decoder = _decoder(channels=64)
    decoder.init_weights()
    kernels = [module.weight for module in decoder.modules() if isinstance(module, nn.Conv2d)]
    assert torch.cat([kernel.flatten() for kernel in kernels]).std().item() == pytest.approx(
        0.001, rel=0.1
    )


def _normalized(feature, state, name):
    """Batch norm of the layer ``name`` by its running statistics."""
    mean, var, weight, bias = (
        state[f'{name}.{key}'][:, None, None]
        for key in ('running_mean', 'running_var', 'weight', 'bias')
    )
    return (feature - mean) / (var + 1e-5).sqrt() * weight + bias


def _layer(feature, state, name, **options):
    """Convolution without bias, batch norm, ReLU."""
    feature = F.conv2d(feature, state[f'{name}.conv.weight'], **options)
    return _normalized(feature, state, f'{name}.bn').relu()


def _decode(features, state):
    """The same decoder in plain functions."""
    coarse = features[-1]
    pooled = F.conv2d(coarse.mean((2, 3), keepdim=True), state['aspp.pooling.conv.weight']).relu()
    branches = [_layer(coarse, state, 'aspp.branches.0')]
    for index, rate in enumerate((3, 6, 9), start=1):
        options = dict(padding=rate, dilation=rate)
        branches.append(_layer(coarse, state, f'aspp.branches.{index}', **options))
    branches.append(pooled + torch.zeros(1, 1, *coarse.shape[2:]))
    out = _layer(torch.cat(branches, dim=1), state, 'aspp.project')
    for step, feature in enumerate(features[-2::-1]):
        out = F.interpolate(out, feature.shape[2:], mode='bilinear', align_corners=True)
        out = torch.cat([out, _layer(feature, state, f'projections.{step}')], dim=1)
        name = f'fusions.{step}'
        out = _layer(out, state, f'{name}.depthwise_conv', padding=2, groups=out.shape[1])
        out = _layer(out, state, f'{name}.pointwise_conv')
    return out


def test_equals_the_formula_written_out():
    generator = torch.Generator().manual_seed(0)
    decoder = _decoder().eval()
    for name, value in decoder.state_dict().items():
        if value.is_floating_point():
            value.normal_(generator=generator)
        if name.endswith('running_var'):
            value.abs_().add_(0.1)
    features = [
        torch.randn(2, channels, *size, generator=generator)
        for channels, size in ((4, (13, 9)), (6, (7, 5)), (8, (4, 3)))
    ]
    expected = _decode(features, decoder.state_dict())
    assert expected.std() > 0.1
    assert torch.allclose(decoder(features), expected, rtol=1e-4, atol=1e-4 * expected.max())
