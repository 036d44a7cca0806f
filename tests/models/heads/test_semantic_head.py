import torch

from mmp2seg.registry import MODELS


def _head(**options):
    return MODELS.build(
        dict(type='mmp2seg.SemanticHead', num_classes=2, in_channels=4, channels=8, **options)
    )


def test_background_and_classes_at_the_inputs_size():
    head = _head()
    logits = head([torch.rand(2, 4, 5, 6)])
    assert logits.shape == (2, 3, 5, 6)
    probs = head.predict_by_feat(logits.half(), (20, 24))
    assert probs.shape == (2, 3, 20, 24)
    assert torch.allclose(probs.sum(dim=1), torch.ones(2, 20, 24))


def test_loss_falls_when_the_logits_agree_with_the_map():
    head = _head(loss_semantic=dict(type='mmp2seg.HardPixelCrossEntropyLoss', ratio=1.0))
    target = torch.randint(0, 3, (2, 8, 8), generator=torch.Generator().manual_seed(0))
    right = torch.nn.functional.one_hot(target, 3).permute(0, 3, 1, 2) * 9.0
    good = head.loss_by_feat(right, target)['loss_semantic']
    bad = head.loss_by_feat(right.roll(1, dims=1), target)['loss_semantic']
    assert good < 0.01 < bad


def test_a_whole_mmdet_loss_fits_too():
    head = _head(loss_semantic=dict(type='mmdet.CrossEntropyLoss', ignore_index=255))
    logits = torch.zeros(1, 3, 4, 4)
    loss = head.loss_by_feat(logits, torch.zeros(1, 8, 8, dtype=torch.int64))['loss_semantic']
    assert torch.allclose(loss, torch.tensor(3.0).log())
