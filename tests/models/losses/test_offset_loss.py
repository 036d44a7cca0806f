import pytest
import torch

from mmp2seg.models.losses import OffsetLoss


def test_smooth_l1_summed_over_channels_averaged_over_weighted_pixels():
    offset = torch.tensor([[[[3.0, 0.5, 9.0]], [[0.0, 0.0, 9.0]]]])  # (1, 2, 1, 3)
    target = torch.zeros(1, 2, 1, 3)
    weight = torch.tensor([[[1.0, 1.0, 0.0]]])
    # beta 1: |3| -> 2.5, |0.5| -> 0.125; two pixels count.
    loss = OffsetLoss(beta=1.0, loss_weight=1.0)(offset, target, weight)
    assert loss.item() == pytest.approx((2.5 + 0.125) / 2)
    plain = OffsetLoss(beta=0, loss_weight=0.01)(offset, target, weight)
    assert plain.item() == pytest.approx(0.01 * 3.5 / 2)


def test_weights_scale_a_pixel_but_not_the_count():
    offset, target = torch.full((1, 2, 1, 2), 2.0), torch.zeros(1, 2, 1, 2)
    weight = torch.tensor([[[0.5, 1.0]]])
    loss = OffsetLoss(beta=0, loss_weight=1.0)(offset, target, weight)
    assert loss.item() == pytest.approx((0.5 * 4 + 4) / 2)


@pytest.mark.parametrize('beta', [0.0, 1.0])
def test_nothing_to_learn_is_a_zero_with_a_graph(beta):
    offset = torch.ones(2, 2, 3, 3, requires_grad=True)
    loss = OffsetLoss(beta=beta)(offset, torch.zeros(2, 2, 3, 3), torch.zeros(2, 3, 3))
    loss.backward()
    assert loss.item() == 0
    assert not offset.grad.any()


def test_half_precision_offsets_do_not_overflow():
    offset = torch.full((1, 2, 200, 200), 300.0, dtype=torch.float16)
    loss = OffsetLoss(beta=1.0, loss_weight=1.0)(
        offset, torch.zeros(1, 2, 200, 200), torch.ones(1, 200, 200)
    )
    assert loss.item() == pytest.approx(2 * 299.5)


def test_negative_beta():
    with pytest.raises(ValueError, match=r'got -0\.1'):
        OffsetLoss(beta=-0.1)
