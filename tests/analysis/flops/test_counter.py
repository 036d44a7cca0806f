import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mmp2seg.analysis.flops.counter import ELEMENTWISE, counting, macs


def _count(call):
    with torch.no_grad(), counting() as count:
        call()
    return count.read()


def test_a_convolution_by_hand():
    """5 x 7 values of 4 channels, each with 3 x 3 x 2 products, without the bias."""
    conv, image = nn.Conv2d(2, 4, 3, padding=1), torch.zeros(1, 2, 5, 7)
    found = _count(lambda: conv(image))
    assert found['convolution'] == macs(found) == 5 * 7 * 4 * 18
    assert found[ELEMENTWISE] == 0


def test_grouped_convolution_and_linear_by_hand():
    conv, image = nn.Conv2d(4, 4, 3, padding=1, groups=4), torch.zeros(1, 4, 5, 5)
    assert macs(_count(lambda: conv(image))) == 25 * 4 * 9
    linear, rows = nn.Linear(3, 5), torch.zeros(7, 3)
    assert macs(_count(lambda: linear(rows))) == 7 * 3 * 5


A, B, INTO = torch.ones(6, 4), torch.ones(4, 5), torch.zeros(6, 5)


@pytest.mark.parametrize(
    ('call', 'expected'),
    [
        (lambda: torch.mm(A, B, out=INTO), 120),
        (lambda: INTO.addmm_(A, B, alpha=2), 120),
        (lambda: A @ B, 120),
        (lambda: torch.einsum('ij,jk->ik', A, B), 120),
        (lambda: torch.bmm(A[None], B[None]), 120),
        (lambda: torch.dot(A.view(-1), A.view(-1)), 24),
    ],
)
def test_products_of_matrices(call, expected):
    assert macs(_count(call)) == expected


X = torch.rand(1, 2, 4, 4)


@pytest.mark.parametrize(
    ('call', 'expected'),
    [
        (lambda: X.sigmoid(), 32),
        (lambda: X.clone().sigmoid_().pow_(2), 64),  # a copy is not counted
        (lambda: X.clone().masked_fill_(X > 0.5, 0), 64),
        (lambda: X.softmax(dim=1), 32),
        (lambda: X.sum(dim=(2, 3)), 32),  # elements of the input, not of the sum
        (lambda: X.max(dim=1), 32),
        (lambda: F.batch_norm(X, torch.zeros(2), torch.ones(2)), 32),
        (lambda: F.interpolate(X, size=(8, 8), mode='bilinear'), 128),
        (lambda: F.max_pool2d(X, 2), 32),
        (lambda: X.flatten(1).transpose(0, 1).contiguous(), 0),
        (lambda: torch.zeros(3).copy_(torch.ones(3)), 0),
    ],
)
def test_elementwise_operations(call, expected):
    found = _count(call)
    assert found[ELEMENTWISE] == expected
    assert macs(found) == 0


def test_a_reading_while_it_counts():
    with counting() as count:
        A @ B
        assert macs(count.read()) == 120
        A @ B
    assert macs(count.read()) == 240
