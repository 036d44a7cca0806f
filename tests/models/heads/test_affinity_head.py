import pytest
import torch

from mmp2seg.registry import MODELS

DECODER = dict(
    type='mmp2seg.PanopticDeepLabDecoder',
    in_channels=(3, 5),
    low_level_channels=(2,),
    channels=6,
    aspp_channels=4,
)


def _head(**options):
    return MODELS.build(dict(type='mmp2seg.AffinityHead', **options))


def test_the_released_hrnet_head_is_one_3x3_with_a_bias():
    head = _head(in_channels=48)
    shapes = {name: tuple(value.shape) for name, value in head.state_dict().items()}
    assert shapes == {'conv.weight': (256, 48, 3, 3), 'conv.bias': (256,)}


def test_embedding_is_linear_in_the_feature_and_keeps_its_size():
    head = _head(in_channels=4, channels=8)
    feature = torch.randn(2, 4, 5, 7)
    bias = head.conv.bias.detach()[:, None, None]
    embedding = head([feature]) - bias
    assert embedding.shape == (2, 8, 5, 7)
    assert embedding.min() < 0  # no activation
    assert torch.allclose(head([-3 * feature]) - bias, -3 * embedding, atol=1e-5)


def test_in_index_chooses_the_feature():
    head = _head(in_channels=3, channels=4, in_index=1)
    assert head([torch.zeros(2, 9, 8, 8), torch.zeros(2, 3, 4, 4)]).shape == (2, 4, 4, 4)


def test_without_a_convolution_the_embedding_is_the_decoders_output():
    head = _head(in_channels=6, channels=6, kernel_size=None, decoder=DECODER).eval()
    features = [torch.rand(2, 3, 8, 8), torch.rand(2, 5, 4, 4)]
    assert torch.equal(head(features), head.decoder(features))
    assert all(name.startswith('decoder.') for name in head.state_dict())


def test_default_initialisation_is_the_released_one():
    head = _head(in_channels=48)
    head.init_weights()
    assert head.conv.weight.std().item() == pytest.approx(0.001, rel=0.1)
    assert not head.conv.bias.any()


def test_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match='expected in_channels = channels .*, got 6 and 256'):
        _head(in_channels=6, kernel_size=None)
    with pytest.raises(ValueError, match='expected an odd kernel_size or None, got 2'):
        _head(in_channels=6, kernel_size=2)
