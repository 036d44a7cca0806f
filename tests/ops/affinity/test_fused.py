"""The fused path under Triton's interpreter, against a dense float64 reference."""

import pytest
import torch

from mmp2seg.ops.affinity import fused
from mmp2seg.ops.affinity.fused import Blocks, pair_loss_and_grad, propagate
from mmp2seg.testing.triton_interpreter import checks_of, interpreted_outcomes, run_checks

# Rounding of float32, and of the products to float16's 11 and bfloat16's 8 bits (the interpreter
# truncates where a GPU rounds).
GRAD_ERROR = {torch.float32: 1e-6, torch.float16: 5e-5, torch.bfloat16: 1e-2}


def dense_pair_loss(embedding, codes, weights):
    rows = embedding.double().requires_grad_()
    affinity = (rows @ rows.mT).sigmoid()[:, None]
    first, second = codes[..., :, None], codes[..., None, :]
    same = (first == second) & (first >= 1)
    different = (first != second) & (first >= 1) & (second >= 1)
    mixed = ((first == 0) & (second >= 1)) | ((first >= 1) & (second == 0))
    weights = weights.double()[..., None, None, :]  # (B, M, 1, 1, 3)
    terms = weights[..., 0] * same * (1 - affinity) + weights[..., 1] * different * affinity
    loss = (terms + weights[..., 2] * mixed * affinity).sum(dim=(1, 2, 3))
    (grad,) = torch.autograd.grad(loss.sum(), rows)
    return loss.detach(), grad


def dense_propagation(embedding, scores, beta, threshold):
    rows = embedding.double()
    affinity = (rows @ rows.mT).sigmoid()
    affinity[(affinity < threshold) & ~torch.eye(rows.shape[1], dtype=torch.bool)] = 0
    weights = affinity**beta
    return weights @ scores.double() / weights.sum(dim=-1, keepdim=True)


def relative_error(value, reference):
    return float((value.double() - reference).norm() / reference.norm())


def scene(num=50, channels=24, maps=2, *, dtype=torch.float32, batch=2):
    generator = torch.Generator().manual_seed(num)
    embedding = (0.5 * torch.randn(batch, num, channels, generator=generator)).to(dtype)
    codes = torch.randint(-1, 4, (batch, maps, num), generator=generator, dtype=torch.int32)
    return embedding, codes, torch.rand(batch, maps, 3, generator=generator)


def assert_pair_loss_is_right(case, **options):
    loss, grad = pair_loss_and_grad(*case, needs_grad=True, **options)
    expected_loss, expected_grad = dense_pair_loss(*case)
    assert loss.dtype == grad.dtype == torch.float32
    assert relative_error(loss, expected_loss) < 1e-6
    assert relative_error(grad, expected_grad) < GRAD_ERROR[case[0].dtype]


def check_pair_loss_and_grad():
    assert_pair_loss_is_right(scene(), terms=3)


def check_pair_loss_of_float32_has_16_bits_by_default():
    case = scene()
    found, two = (pair_loss_and_grad(*case, needs_grad=True, terms=terms) for terms in (None, 2))
    assert torch.equal(found[0], two[0]) and torch.equal(found[1], two[1])


def check_pair_loss_of_half_precision():
    assert_pair_loss_is_right(scene(dtype=torch.bfloat16))
    assert_pair_loss_is_right(scene(dtype=torch.float16))


def check_pair_loss_over_several_blocks():
    case = scene(num=70, maps=1)
    for blocks in (Blocks(32, 32, 4, 1), Blocks(32, 16, 4, 1)):
        assert_pair_loss_is_right(case, blocks=blocks, terms=3)


def check_pair_loss_alone_uses_the_symmetry():
    case = scene(num=70)
    blocks = Blocks(32, 16, 4, 1)
    loss, grad = pair_loss_and_grad(*case, needs_grad=False, blocks=blocks)
    assert grad is None
    assert relative_error(loss, dense_pair_loss(*case)[0]) < 1e-6


def check_fewer_terms_are_less_precise():
    case = scene()
    expected = dense_pair_loss(*case)[1]
    errors = [
        relative_error(pair_loss_and_grad(*case, needs_grad=True, terms=terms)[1], expected)
        for terms in (3, 2, 1)
    ]
    assert errors[0] < 1e-6 < errors[1] < 1e-4 < errors[2] < 5e-2


def check_hand_written_pairs():
    embedding = torch.tensor([[[0.0, 3.0], [0.0, 0.0], [0.0, 0.0], [9.0, 9.0], [9.0, 9.0]]])
    codes = torch.tensor([[[1, 1, 2, 0, -1]]], dtype=torch.int32)
    # same: (0, 0) at sigmoid(9), (0, 1), (1, 0), (1, 1) and (2, 2) at 1/2
    # different: 0 and 1 against 2, at 1/2
    # mixed: 0 against 3 at sigmoid(27), 1 and 2 against 3 at 1/2
    sigmoids = torch.tensor([9.0, 27.0]).sigmoid()
    expected = (4 * 0.5 + 1 - sigmoids[0], 2 * 2 * 0.5, 2 * (sigmoids[1] + 2 * 0.5))
    for weights, value in zip(torch.eye(3), expected):
        loss, _ = pair_loss_and_grad(embedding, codes, weights[None, None], needs_grad=False)
        assert float(loss) == pytest.approx(float(value))


def check_saturated_affinities_keep_their_precision():
    embedding = torch.tensor([[[4.5], [4.5], [-4.5]]])
    codes = torch.tensor([[[1, 1, 2]]], dtype=torch.int32)
    case = (embedding, codes, torch.ones(1, 1, 3))
    loss, grad = pair_loss_and_grad(*case, needs_grad=True, terms=3)
    expected_loss, expected_grad = dense_pair_loss(*case)
    assert 0 < expected_loss < 1e-6
    assert relative_error(loss, expected_loss) < 1e-5
    assert relative_error(grad, expected_grad) < 1e-5


def check_no_pair_gives_zeros():
    embedding, codes, weights = scene()
    loss, grad = pair_loss_and_grad(embedding, torch.full_like(codes, -1), weights, needs_grad=True)
    assert loss.tolist() == [0, 0] and not grad.any()
    loss, grad = pair_loss_and_grad(embedding, torch.zeros_like(codes), weights, needs_grad=True)
    assert loss.tolist() == [0, 0] and not grad.any()
    for empty in (scene(num=0), scene(maps=0), scene(batch=0)):
        loss, grad = pair_loss_and_grad(*empty, needs_grad=True)
        assert not loss.any() and not grad.any()
        assert loss.shape == empty[0].shape[:1] and grad.shape == empty[0].shape


def check_a_batch_of_two_equals_two_batches_of_one():
    case = scene()
    scores = torch.rand(2, 50, 5)
    whole = (*pair_loss_and_grad(*case, needs_grad=True), spread(case[0], scores))
    for index in range(2):
        image = [value[index : index + 1] for value in case]
        single = pair_loss_and_grad(*image, needs_grad=True)
        single = (*single, spread(image[0], scores[index : index + 1]))
        for all_images, one in zip(whole, single):
            torch.testing.assert_close(all_images[index], one[0], rtol=1e-6, atol=1e-7)


def spread(embedding, scores, beta=1.0, threshold=0.0, **options):
    """Propagate with normalised rows."""
    values = torch.cat([scores, torch.ones_like(scores[..., :1])], dim=2)
    sums = propagate(embedding, values, beta=beta, threshold=threshold, **options)
    return sums[..., :-1] / sums[..., -1:]


def check_propagation():
    scores = torch.rand(2, 50, 5)
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        embedding = scene(dtype=dtype)[0]
        for beta, threshold in ((1, 0), (2.5, 0), (1.0, 0.6), (2.5, 0.6)):
            expected = dense_propagation(embedding, scores, beta, threshold)
            assert relative_error(spread(embedding, scores, beta, threshold), expected) < 1e-6


def check_propagation_over_several_blocks():
    embedding, scores = scene(num=70)[0], torch.rand(2, 70, 16)  # 17 channels with the ones
    for blocks in (Blocks(32, 32, 4, 1), Blocks(32, 16, 4, 1)):
        expected = dense_propagation(embedding, scores, 2.0, 0.6)
        assert relative_error(spread(embedding, scores, 2.0, 0.6, blocks=blocks), expected) < 1e-6


def check_a_constant_map_stays_constant():
    for dtype in (torch.float32, torch.bfloat16):
        constant = torch.tensor([0.1, 0.3, 7.0]).expand(2, 50, 3)
        for threshold in (0.0, 0.9):
            result = spread(scene(dtype=dtype)[0], constant, 2.5, threshold)
            torch.testing.assert_close(result, constant, rtol=1e-6, atol=0)


def check_a_pixel_above_no_threshold_keeps_its_scores():
    scores = torch.rand(2, 50, 5)
    torch.testing.assert_close(spread(scene()[0], scores, 1.0, 1.1), scores, rtol=1e-6, atol=0)


def check_propagation_of_nothing():
    for num, channels in ((0, 3), (9, 0)):
        values = torch.rand(2, num, channels)
        sums = propagate(torch.rand(2, num, 8), values, beta=1.0, threshold=0.0)
        assert sums.shape == values.shape


CHECKS = checks_of(globals())


@pytest.fixture(scope='module')
def outcomes():
    pytest.importorskip('triton')
    return interpreted_outcomes(__file__)


@pytest.mark.parametrize('name', CHECKS)
def test_interpreted(outcomes, name):
    assert outcomes[name] == ''


def test_only_bfloat16_propagates_where_triton_runs(monkeypatch):
    monkeypatch.setattr(fused, 'triton_available', lambda device: True)
    kinds = (torch.bfloat16, torch.float16, torch.float32)
    found = [fused.propagates(torch.zeros(1, 4, 8, dtype=dtype)) for dtype in kinds]
    assert found == [True, False, False]


def test_a_cpu_has_no_fused_path():
    assert not fused.triton_available(torch.device('cpu'))
    assert not fused.supports(torch.zeros(1, 4, 8))


@pytest.mark.parametrize(
    ('dtype', 'channels', 'expected'),
    [
        (torch.float32, 256, True),
        (torch.bfloat16, 8, True),
        (torch.float64, 8, False),
        (torch.float32, 257, False),
    ],
)
def test_what_is_supported_where_triton_runs(monkeypatch, dtype, channels, expected):
    monkeypatch.setattr(fused, 'triton_available', lambda device: True)
    assert fused.supports(torch.zeros(1, 4, channels, dtype=dtype)) is expected


if __name__ == '__main__':
    run_checks(CHECKS)
