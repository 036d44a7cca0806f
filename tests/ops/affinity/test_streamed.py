import pytest
import torch

from mmp2seg.ops.affinity.streamed import pair_counts, pair_loss_and_grad, propagate


def test_pairs_are_counted_in_order_and_with_themselves():
    # 1: two pixels, 2: one; a background pixel (0) is mixed with each instance pixel.
    codes = torch.tensor([[[1, 2, 1, 0, -1]], [[-1, -1, -1, -1, -1]]], dtype=torch.int32)
    assert pair_counts(codes).tolist() == [[[4 + 1, 2 * 2, 2 * 3]], [[0, 0, 0]]]


def test_loss_of_two_orthogonal_pixels():
    rows = torch.tensor([[[2.0, 0.0], [0.0, 1.0]]])
    codes = torch.tensor([[[1, 2]]], dtype=torch.int32)
    weights = torch.tensor([[[1.0, 3.0, 7.0]]], dtype=torch.float64)
    loss, grad = pair_loss_and_grad(rows, codes, weights, needs_grad=True)
    itself = 2 - torch.tensor([4.0, 1.0]).sigmoid().sum()
    assert torch.allclose(loss, itself + 3 * 2 * 0.5)
    # d/da of -sigmoid(a.a) + 2 * 3 * sigmoid(a.b): slopes s(1 - s).
    slope = torch.tensor(4.0).sigmoid() * (1 - torch.tensor(4.0).sigmoid())
    assert torch.allclose(grad[0, 0], torch.tensor([-2 * 2 * slope, 6 * 0.25]))


def test_a_background_pixel_makes_a_mixed_pair_and_none_with_another():
    rows = torch.zeros(1, 3, 2)
    codes = torch.tensor([[[1, 0, 0]]], dtype=torch.int32)
    weights = torch.tensor([[[1.0, 3.0, 7.0]]], dtype=torch.float64)
    loss, _ = pair_loss_and_grad(rows, codes, weights, needs_grad=False)
    assert loss.item() == 1 * 0.5 + 7 * 4 * 0.5


def test_no_gradient_is_made_unless_asked_for():
    rows, codes = torch.ones(1, 3, 2), torch.ones(1, 1, 3, dtype=torch.int32)
    weights = torch.ones(1, 1, 3, dtype=torch.float64)
    assert pair_loss_and_grad(rows, codes, weights, needs_grad=False)[1] is None


def test_images_without_pixels_or_maps():
    empty = torch.zeros(2, 0, 4)
    codes, weights = torch.zeros(2, 1, 0, dtype=torch.int32), torch.ones(2, 1, 3).double()
    loss, grad = pair_loss_and_grad(empty, codes, weights, needs_grad=True)
    assert loss.tolist() == [0, 0] and grad.shape == (2, 0, 4)
    assert propagate(empty, torch.zeros(2, 0, 3), beta=1.0, threshold=0.0, width=1).shape == (
        2,
        0,
        3,
    )


@pytest.mark.parametrize('block_size', [1, 4, 7, 100])
def test_propagation_is_the_affinity_times_the_values(block_size):
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(2, 9, 5, generator=generator)
    values = torch.rand(2, 9, 3, generator=generator)
    affinity = (rows @ rows.mT).sigmoid() ** 2.5
    result = propagate(rows, values, beta=2.5, threshold=0.0, width=3, block_size=block_size)
    assert torch.allclose(result, affinity @ values, rtol=1e-5)
