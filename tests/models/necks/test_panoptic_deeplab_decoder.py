import pytest
import torch

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
    """Kernel shapes of facts section 3: ASPP 3/6/9, projections 128/64/32, 5 x 5 separable fuse."""
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
