import torch

from mmp2seg.registry import MODELS


def _head():
    return MODELS.build(dict(type='mmp2seg.OffsetHead', in_channels=4, channels=8))


def test_upsampling_keeps_the_values_in_input_pixels():
    head = _head()
    raw = torch.full((2, 2, 3, 4), 7.0, dtype=torch.float16)
    offset = head.predict_by_feat(raw, (12, 16))
    assert offset.dtype == torch.float32
    assert torch.equal(offset, torch.full((2, 2, 12, 16), 7.0))
    assert head([torch.rand(2, 4, 3, 4)]).shape == raw.shape
