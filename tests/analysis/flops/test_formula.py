import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from mmp2seg.analysis.flops.counter import counting
from mmp2seg.analysis.flops.formula import (
    CPU_BLOCK_SIZE,
    AffinityMacs,
    dense_propagation_macs,
    streamed_loss_macs,
    streamed_propagation_macs,
)
from mmp2seg.ops.affinity import pair_loss, propagate, streamed

D, C = 6, 3


def _counted(height, width, **options):
    embedding, scores = torch.randn(1, D, height, width), torch.rand(1, C, height, width)
    with counting() as count:
        propagate(embedding, scores, **options)
    return count.read()


def test_by_hand():
    """5 pixels in tiles of 2: 2 x 2, 2 x 2, 2 x 1; 2 x 2, 2 x 1; 1 x 1 = 17 pairs."""
    assert streamed_propagation_macs(5, 7, 3, block_size=2) == AffinityMacs(17 * 7, 25 * 4)
    assert streamed_loss_macs(5, 7, block_size=2) == AffinityMacs(17 * 7, 25 * 7, weights=17)
    assert streamed_loss_macs(5, 7, block_size=2, needs_grad=False).products == 0
    assert dense_propagation_macs(5, 7, 3) == AffinityMacs(175, 75)
    assert AffinityMacs(1, 2, 3, 4).total == 10
    assert streamed_propagation_macs(0, 7, 3).total == 0


@pytest.mark.parametrize('block_size', [25, 40, 200])
@pytest.mark.parametrize('beta', [1.0, 2.0])
def test_propagation_equals_what_runs(block_size, beta):
    found = _counted(9, 11, block_size=block_size, beta=beta)
    formula = streamed_propagation_macs(99, D, C, block_size=block_size)
    assert found['mm'] == formula.logits
    assert found['addmm_'] == formula.products
    assert formula.distances == 0


def test_default_block_is_the_streamed_one_on_a_cpu():
    found = _counted(30, 30)  # more pixels than a block
    formula = streamed_propagation_macs(900, D, C)
    assert (found['mm'], found['addmm_']) == (formula.logits, formula.products)
    assert streamed._BLOCK_SIZE['cpu'] == CPU_BLOCK_SIZE


def test_logits_are_what_torch_s_own_counter_finds():
    """It has no formula for the in-place addmm of the products."""
    embedding, scores = torch.randn(1, D, 9, 11), torch.rand(1, C, 9, 11)
    with FlopCounterMode(display=False) as counter:
        propagate(embedding, scores, block_size=40)
    assert (
        counter.get_total_flops() == 2 * streamed_propagation_macs(99, D, C, block_size=40).logits
    )


@pytest.mark.parametrize(
    ('grid', 'radius', 'options'),
    [
        ((40, 30), 4.0, {}),  # tiles of 128 pixels, from the width and the radius
        ((40, 30), 9.0, {}),  # of 270
        ((40, 30), 2.5, dict(block_size=64)),
        ((20, 8), 100.0, {}),  # every pair is within reach
    ],
)
def test_propagation_within_a_radius_equals_what_runs(grid, radius, options):
    height, width = grid
    found = _counted(height, width, radius=radius, **options)
    formula = streamed_propagation_macs(height * width, D, C, width=width, radius=radius, **options)
    assert found['mm'] == formula.logits + formula.distances
    assert found['addmm_'] == formula.products


def test_a_radius_saves_pairs():
    full = streamed_propagation_macs(104 * 104, 256, 21)
    near = streamed_propagation_macs(104 * 104, 256, 21, width=104, radius=16)
    assert near.total < 0.5 * full.total
    with pytest.raises(ValueError, match='width'):
        streamed_propagation_macs(100, D, C, radius=3)


@pytest.mark.parametrize('num_maps', [1, 2])
@pytest.mark.parametrize('needs_grad', [True, False])
def test_loss_equals_what_runs(num_maps, needs_grad):
    embedding = torch.randn(1, D, 9, 11).requires_grad_(needs_grad)
    maps = torch.randint(-1, 3, (1, num_maps, 9, 11), dtype=torch.int32)
    active = int((maps > 0).any(dim=1).sum())  # background is in no pair (default)
    with counting() as count:
        pair_loss(embedding, maps, block_size=16)
    found = count.read()
    formula = streamed_loss_macs(active, D, needs_grad=needs_grad, block_size=16)
    assert found['mm'] == formula.logits
    assert found['dot'] == formula.weights
    assert found['addmm_'] == formula.products
