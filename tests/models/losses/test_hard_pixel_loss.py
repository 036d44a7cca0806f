import math

import pytest
import torch
import torch.nn.functional as F
from torch._subclasses import FakeTensorMode

from mmp2seg.models.losses.hard_pixel_loss import (
    HardPixelCrossEntropyLoss,
    hard_pixel_cross_entropy,
)


def _random_case(batch=2, size=6, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(batch, 3, size, size, generator=generator, dtype=dtype)
    target = torch.randint(0, 3, (batch, size, size), generator=generator)
    target[:, :2] = 255
    return logits, target


def _by_sorting(logits, target, ratio):
    losses = F.cross_entropy(logits[None], target[None], reduction='none', ignore_index=255)[0]
    labelled = losses[target != 255].sort(descending=True).values
    return labelled[: math.ceil(ratio * labelled.numel())].mean()


@pytest.mark.parametrize('ratio', [0.1, 0.2, 0.5, 1.0])
def test_mean_over_the_hardest_labelled_pixels_of_each_image(ratio):
    logits, target = _random_case()
    expected = sum(_by_sorting(*case, ratio) for case in zip(logits, target)) / 2
    assert hard_pixel_cross_entropy(logits, target, ratio=ratio).item() == pytest.approx(
        expected.item(), rel=1e-5
    )


def test_a_batch_of_two_is_two_batches_of_one():
    logits, target = _random_case()
    both = hard_pixel_cross_entropy(logits, target, ratio=0.2)
    single = [
        hard_pixel_cross_entropy(logits[i : i + 1], target[i : i + 1], ratio=0.2) for i in (0, 1)
    ]
    assert both.item() == pytest.approx((sum(single) / 2).item())


def test_padding_changes_nothing():
    logits, target = _random_case()
    padded = hard_pixel_cross_entropy(
        F.pad(logits, (0, 5, 0, 3), value=9.0), F.pad(target, (0, 5, 0, 3), value=255), ratio=0.2
    )
    assert padded.item() == pytest.approx(
        hard_pixel_cross_entropy(logits, target, ratio=0.2).item()
    )


def test_gradient_reaches_the_chosen_pixels_only():
    logits, target = _random_case(batch=1, dtype=torch.float32)
    logits.requires_grad_()
    hard_pixel_cross_entropy(logits, target, ratio=0.25).backward()
    touched = (logits.grad.abs().sum(dim=1) > 0).sum()
    assert touched == math.ceil(0.25 * 24)


def test_all_ignored_is_a_zero_with_a_graph():
    logits = torch.randn(2, 3, 4, 4, requires_grad=True)
    for ratio in (0.2, 1.0):
        loss = hard_pixel_cross_entropy(logits, torch.full((2, 4, 4), 255), ratio=ratio)
        loss.backward()
        assert loss.item() == 0
        assert not logits.grad.any()


def test_an_ignored_image_does_not_dilute_the_other():
    logits, target = _random_case()
    target[1] = 255
    assert hard_pixel_cross_entropy(logits, target, ratio=0.2).item() == pytest.approx(
        _by_sorting(logits[0], target[0], 0.2).item()
    )


def test_half_precision_is_computed_in_float32():
    logits, target = _random_case()
    loss = hard_pixel_cross_entropy(logits.half(), target, ratio=0.2)
    assert loss.dtype == torch.float32


def test_module_is_the_function_times_its_weight():
    logits, target = _random_case()
    loss = HardPixelCrossEntropyLoss(ratio=0.4, loss_weight=0.5)(logits, target)
    assert torch.equal(loss, 0.5 * hard_pixel_cross_entropy(logits, target, ratio=0.4))
    for ratio in (0, 1.5):
        with pytest.raises(ValueError, match=f'got {ratio}'):
            HardPixelCrossEntropyLoss(ratio=ratio)


@pytest.mark.parametrize('ratio', [0.2, 1.0])
def test_nothing_is_read_back_from_the_device(ratio):
    """Fake tensors have no values: whatever needs one raises."""
    with FakeTensorMode():
        target = torch.zeros(2, 6, 6, dtype=torch.int64)
        loss = hard_pixel_cross_entropy(torch.zeros(2, 3, 6, 6), target, ratio=ratio)
    assert loss.shape == ()
