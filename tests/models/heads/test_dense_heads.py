import pytest
import torch

from mmp2seg.models.heads.dense_heads import DenseHead
from mmp2seg.registry import MODELS


def test_the_released_head_is_a_3x3_a_relu_and_a_1x1_with_bias():
    head = DenseHead(in_channels=48, channels=256, out_channels=21)
    shapes = {name: tuple(value.shape) for name, value in head.state_dict().items()}
    assert shapes == {
        'conv.conv.weight': (256, 48, 3, 3),
        'conv.conv.bias': (256,),
        'predictor.weight': (21, 256, 1, 1),
        'predictor.bias': (21,),
    }
    assert head(torch.zeros(1, 48, 5, 7)[None]).shape == (1, 21, 5, 7)


def test_default_initialisation_is_the_released_one():
    head = DenseHead(in_channels=48, channels=64, out_channels=21)
    head.init_weights()
    assert head.conv.conv.weight.std().item() == pytest.approx(0.001, rel=0.1)
    assert not head.conv.conv.bias.any()
    assert not head.predictor.bias.any()


def test_in_index_chooses_the_feature():
    head = DenseHead(in_channels=3, channels=4, out_channels=2, in_index=1)
    assert head([torch.zeros(2, 9, 8, 8), torch.zeros(2, 3, 4, 4)]).shape == (2, 2, 4, 4)


def test_depthwise_separable_with_norm():
    head = DenseHead(
        in_channels=8,
        channels=4,
        out_channels=2,
        kernel_size=5,
        depthwise_separable=True,
        norm_cfg=dict(type='BN'),
    )
    state = head.state_dict()
    assert state['conv.depthwise_conv.conv.weight'].shape == (8, 1, 5, 5)
    assert state['conv.pointwise_conv.conv.weight'].shape == (4, 8, 1, 1)
    assert 'conv.pointwise_conv.conv.bias' not in state


def test_decoder_gets_all_features():
    head = DenseHead(
        in_channels=6,
        channels=4,
        out_channels=2,
        decoder=dict(
            type='mmp2seg.PanopticDeepLabDecoder',
            in_channels=(3, 5),
            low_level_channels=(2,),
            channels=6,
            aspp_channels=4,
        ),
    )
    features = [torch.rand(2, 3, 8, 8), torch.rand(2, 5, 4, 4)]
    assert head(features).shape == (2, 2, 8, 8)


def test_semantic_head_has_background_and_classes_at_the_size_of_the_input():
    head = MODELS.build(dict(type='mmp2seg.SemanticHead', num_classes=2, in_channels=4, channels=8))
    logits = head([torch.rand(2, 4, 5, 6)])
    assert logits.shape == (2, 3, 5, 6)
    probs = head.predict_by_feat(logits.half(), (20, 24))
    assert probs.shape == (2, 3, 20, 24)
    assert torch.allclose(probs.sum(dim=1), torch.ones(2, 20, 24))


def test_upsampling_of_offsets_keeps_the_values_in_input_pixels():
    head = MODELS.build(dict(type='mmp2seg.OffsetHead', in_channels=4, channels=8))
    raw = torch.full((2, 2, 3, 4), 7.0, dtype=torch.float16)
    offset = head.predict_by_feat(raw, (12, 16))
    assert offset.dtype == torch.float32
    assert torch.equal(offset, torch.full((2, 2, 12, 16), 7.0))
    assert head([torch.rand(2, 4, 3, 4)]).shape == raw.shape


@pytest.mark.parametrize('align_corners', [False, True])
def test_corners_are_aligned_if_asked(align_corners):
    head = DenseHead(in_channels=1, channels=1, out_channels=1, align_corners=align_corners)
    row = head.upsample(torch.tensor([[[[0.0, 3.0]]]]), (1, 4)).flatten()
    expected = [0, 1, 2, 3] if align_corners else [0, 0.75, 2.25, 3]
    torch.testing.assert_close(row, torch.tensor(expected, dtype=torch.float32))
