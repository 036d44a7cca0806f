import torch

from mmp2seg.registry import MODELS


def build(**options):
    config = dict(type='mmp2seg.PointClassHead', in_channels=(4, 6), num_classes=3)
    return MODELS.build({**config, **options})


def test_logits_keep_the_size_of_each_level():
    fine, coarse = build()([torch.rand(4, 7, 9), torch.rand(6, 4, 5)])
    assert fine.shape == (4, 7, 9)
    assert coarse.shape == (4, 4, 5)


def test_equals_norm_and_convolution_by_hand():
    head = build().eval()
    levels = [torch.rand(4, 3, 3), torch.rand(6, 2, 2)]
    for level, norm, conv, logits in zip(levels, head.norms, head.convs, head(levels)):
        scaled = (level - level.mean()) / (level.var(unbiased=False) + norm.eps).sqrt()
        by_hand = torch.einsum('kc,chw->khw', conv.weight[:, :, 0, 0], scaled)
        assert torch.allclose(logits, by_hand + conv.bias[:, None, None], atol=1e-5)


def test_dropout_only_in_training():
    head = build(dropout=0.5)
    head.init_weights()
    levels = [torch.rand(4, 3, 3), torch.rand(6, 2, 2)]
    torch.manual_seed(0)
    head.train()
    assert not torch.equal(head(levels)[0], head(levels)[0])
    head.eval()
    assert torch.equal(head(levels)[0], head(levels)[0])
