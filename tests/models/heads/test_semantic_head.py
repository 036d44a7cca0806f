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
