import math

import pytest
import torch

from mmp2seg.models.losses.positive_unlabeled_loss import positive_unlabeled_loss
from mmp2seg.registry import MODELS


def test_by_hand():
    # cells: class 0 three times, class 1 once, two unlabelled, one ignored
    probs = torch.tensor(
        [
            [0.5, 0.2, 0.1, 0.3, 0.8, 0.6, 0.1],
            [0.4, 0.7, 0.8, 0.3, 0.1, 0.2, 0.1],
            [0.1, 0.1, 0.1, 0.4, 0.1, 0.2, 0.8],
        ],
        dtype=torch.float64,
    )
    targets = torch.tensor([1, 1, 1, 2, 0, 0, 255])
    weight = 1 / math.sqrt(3)
    positives = -(weight * (math.log(0.4) + math.log(0.7) + math.log(0.8)) + math.log(0.4))
    positives /= 3 * weight + 1
    unlabeled = -(math.log(0.8) + math.log(0.6)) / 2
    for share in (0.5, 0.2):
        expected = share * positives + (1 - share) * unlabeled
        loss = positive_unlabeled_loss(probs.log(), targets, positive_share=share)
        assert loss.item() == pytest.approx(expected, abs=1e-12)


def test_more_unlabelled_cells_of_the_same_kind_do_not_change_it():
    logits, targets = torch.randn(3, 5), torch.tensor([1, 2, 0, 0, 0])
    more = torch.cat([logits, logits[:, 2:], logits[:, 2:]], 1)
    many = torch.cat([targets, targets[2:], targets[2:]])
    once = positive_unlabeled_loss(logits, targets)
    assert torch.allclose(positive_unlabeled_loss(more, many), once)


def test_only_one_kind_has_its_share_alone():
    logits = torch.randn(2, 4)
    entropy = -logits.log_softmax(0)
    positives = positive_unlabeled_loss(logits, torch.ones(4), positive_share=0.25)
    assert torch.allclose(positives, 0.25 * entropy[1].mean())
    rest = positive_unlabeled_loss(logits, torch.zeros(4), positive_share=0.25)
    assert torch.allclose(rest, 0.75 * entropy[0].mean())


@pytest.mark.parametrize('targets', [torch.full((4,), 255), torch.zeros(0)])
def test_nothing_gives_a_zero_with_a_graph(targets):
    logits = torch.randn(3, len(targets), requires_grad=True)
    loss = positive_unlabeled_loss(logits, targets)
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


def test_gradient():
    logits = torch.randn(3, 6, dtype=torch.float64, requires_grad=True)
    targets = torch.tensor([0, 1, 2, 255, 0, 1])
    assert torch.autograd.gradcheck(lambda x: positive_unlabeled_loss(x, targets), logits)


def test_module_equals_function_times_weight():
    loss = MODELS.build(dict(type='mmp2seg.PositiveUnlabeledLoss', loss_weight=3.0))
    logits, targets = torch.randn(3, 5), torch.tensor([1, 2, 0, 255, 0])
    assert torch.allclose(loss(logits, targets), 3 * positive_unlabeled_loss(logits, targets))


def test_errors():
    with pytest.raises(ValueError, match=r'got \(3, 5\) and \(4,\)'):
        positive_unlabeled_loss(torch.zeros(3, 5), torch.zeros(4))
    with pytest.raises(ValueError, match=r'expected positive_share in \[0, 1\], got 1.5'):
        MODELS.build(dict(type='mmp2seg.PositiveUnlabeledLoss', positive_share=1.5))
