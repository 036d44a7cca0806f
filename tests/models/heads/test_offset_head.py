import torch

from mmp2seg.registry import MODELS


def _head():
    loss = dict(type='mmp2seg.OffsetLoss', beta=0, loss_weight=1.0)
    return MODELS.build(
        dict(type='mmp2seg.OffsetHead', in_channels=4, channels=8, loss_offset=loss)
    )


def test_upsampling_keeps_the_values_in_input_pixels():
    head = _head()
    raw = torch.full((2, 2, 3, 4), 7.0, dtype=torch.float16)
    offset = head.predict_by_feat(raw, (12, 16))
    assert offset.dtype == torch.float32
    assert torch.equal(offset, torch.full((2, 2, 12, 16), 7.0))
    assert head([torch.rand(2, 4, 3, 4)]).shape == raw.shape


def test_loss_is_the_mean_over_initial_and_refined_targets():
    offset, weight = torch.zeros(1, 2, 2, 2), torch.ones(1, 2, 2)
    near, far = torch.full_like(offset, 1.0), torch.full_like(offset, 3.0)
    loss = _head().loss_by_feat(offset, [(near, weight), (far, weight)])
    assert loss == {'loss_offset': torch.tensor(4.0)}
