import pytest
import torch

from mmp2seg.analysis.benchmarks import affinity
from mmp2seg.models.distillation import semantic_scorer
from mmp2seg.models.losses import affinity_loss
from mmp2seg.ops.affinity import BACKGROUND_RULES, pair_loss, propagate


@pytest.fixture
def embedding():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 6, 5, 7, generator=generator, dtype=torch.float64).requires_grad_()


@pytest.mark.parametrize('ignored_as_background', [False, True])
@pytest.mark.parametrize('background', BACKGROUND_RULES)
def test_dense_loss_and_gradient_equal_the_streamed_ones(
    embedding, background, ignored_as_background
):
    maps = torch.randint(-1, 4, (2, 2, 5, 7), generator=torch.Generator().manual_seed(1)).int()
    maps[1, 1] = 0
    maps[1, 1, 0, 0] = 1
    rules = dict(background=background, ignored_as_background=ignored_as_background)
    dense, streamed = (
        loss(embedding, maps, **rules) for loss in (affinity.dense_pair_loss, pair_loss)
    )
    torch.testing.assert_close(dense, streamed)
    gradients = [torch.autograd.grad(loss.sum(), embedding)[0] for loss in (dense, streamed)]
    torch.testing.assert_close(*gradients)
    assert gradients[0].abs().max() > 0


@pytest.mark.parametrize('threshold', [0.0, 0.6])
@pytest.mark.parametrize('beta', [1.0, 2.5])
def test_dense_propagation_equals_the_streamed_one(embedding, beta, threshold):
    scores = torch.rand(2, 3, 5, 7, generator=torch.Generator().manual_seed(2)).double()
    valid = torch.rand(2, 5, 7, generator=torch.Generator().manual_seed(3)) > 0.3
    for options in (dict(), dict(valid=valid), dict(radius=2.5)):
        options.update(beta=beta, threshold=threshold)
        dense = affinity.dense_propagate(embedding, scores, **options)
        torch.testing.assert_close(dense, propagate(embedding, scores, **options))


def test_networks_use_the_reference_in_its_context_alone():
    with affinity.dense_affinity():
        assert affinity_loss.pair_loss is affinity.dense_pair_loss
        assert semantic_scorer.propagate is affinity.dense_propagate
    assert affinity_loss.pair_loss is pair_loss
    assert semantic_scorer.propagate is propagate


@pytest.mark.parametrize('full', [True, False])
def test_loss_calls_of_both_ways_agree(full):
    options = dict(grid=12, channels=8, device='cpu', full=full)
    dense, streamed = (
        affinity.make_loss_call({**options, 'dense': dense})()[0] for dense in (True, False)
    )
    assert dense.shape == (1, 8, 12, 12)
    torch.testing.assert_close(dense, streamed)


def test_propagation_calls_of_both_ways_agree():
    options = dict(grid=12, channels=8, device='cpu', beta=2.0, radius=4)
    dense, streamed = (
        affinity.make_propagation_call({**options, 'dense': dense})() for dense in (True, False)
    )
    assert dense.shape == (1, 21, 12, 12)
    torch.testing.assert_close(dense, streamed)


def test_guided_call_propagates():
    call = affinity.make_guided_call(dict(maps=3, side=40, iterations=2, device='cpu'))
    result = call()
    assert result.shape == (3, 40, 40)
    torch.testing.assert_close(result.sum(0), torch.ones(40, 40))
    torch.testing.assert_close(call(), result)


def test_share_of_labelled_pixels():
    assert 0.3 < affinity.labelled_share(104) < 0.7
