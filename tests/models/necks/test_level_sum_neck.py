import pytest
import torch
import torch.nn.functional as F

from mmp2seg.registry import MODELS


def build(**options):
    config = dict(
        type='mmp2seg.LevelSumNeck',
        in_channels=(3, 5),
        channels=4,
        norm_cfg=dict(type='GN', num_groups=2),
    )
    return MODELS.build({**config, **options})


def test_the_output_has_the_resolution_of_the_finest_level_at_odd_sizes():
    (out,) = build()([torch.rand(2, 3, 13, 9), torch.rand(2, 5, 7, 5)])
    assert out.shape == (2, 4, 13, 9)


def test_the_scale_of_a_level_does_not_matter():
    neck = build().eval()
    fine, coarse = torch.randn(1, 3, 8, 8), torch.randn(1, 5, 4, 4)
    (out,), (scaled,) = neck([fine, coarse]), neck([fine * 50, coarse * 0.3])
    assert torch.allclose(out, scaled, atol=1e-3)


def test_equals_the_sum_of_the_projected_levels():
    neck = build().eval()
    fine, coarse = torch.randn(2, 3, 6, 4), torch.randn(2, 5, 3, 2)
    by_hand = neck.projections[0](fine) + F.interpolate(
        neck.projections[1](coarse), (6, 4), mode='bilinear'
    )
    assert torch.allclose(neck([fine, coarse])[0], neck.fuse(by_hand), atol=1e-6)


def test_every_level_gets_a_gradient():
    levels = [
        torch.rand(1, 3, 8, 8, requires_grad=True),
        torch.rand(1, 5, 4, 4, requires_grad=True),
    ]
    build()(levels)[0].square().sum().backward()
    assert all(level.grad.abs().sum() > 0 for level in levels)


def test_a_wrong_number_of_levels_is_an_error():
    with pytest.raises(ValueError, match='expected 2 levels, got 1'):
        build()([torch.rand(1, 3, 8, 8)])
