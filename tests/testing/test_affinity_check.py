import pytest
import torch

from mmp2seg.ops.affinity import fused, streamed
from mmp2seg.testing import affinity_check
from mmp2seg.testing.affinity_check import Finding, dense_loss_and_grad, fused_errors, make_case


@pytest.fixture
def case():
    return make_case(size=9, channels=12, maps=2, batch=2, share=0.5)


def test_a_case_has_balanced_pairs_of_the_given_share_of_pixels(case):
    assert case.rows.shape == (2, 81, 12) and case.values.shape[:2] == (2, 81)
    assert case.codes.dtype == torch.int32 and int(case.codes.max()) <= 11
    assert ((case.codes >= 0).sum(dim=-1) == 41).all()  # half of 81, and the one in the middle
    assert (make_case(size=9, channels=12).codes >= 0).all()
    counts = streamed.pair_counts(case.codes)
    assert (counts > 0).all()
    torch.testing.assert_close(case.weights * counts, torch.full((2, 2, 3), 0.5).double())


@pytest.fixture
def fused_in_torch(monkeypatch):
    """Replace the kernels, which need CUDA, by the streamed path; return knobs that falsify it."""
    knobs = {'grad_factor': 1.0, 'value_offset': 0.0}

    def pair_loss_and_grad(rows, codes, weights, *, needs_grad):
        assert weights.dtype == torch.float32
        loss, grad = streamed.pair_loss_and_grad(
            rows.float(), codes, weights.double(), needs_grad=needs_grad
        )
        return loss, grad * knobs['grad_factor'] if needs_grad else None

    def propagate(rows, values, *, beta, threshold):
        options = dict(beta=beta, threshold=threshold)
        return streamed.propagate(rows.float(), values, **options) + knobs['value_offset']

    monkeypatch.setattr(fused, 'pair_loss_and_grad', pair_loss_and_grad)
    monkeypatch.setattr(fused, 'propagate', propagate)
    return knobs


@pytest.mark.parametrize('dtype', affinity_check.GRAD_LIMITS)
def test_a_right_path_has_no_errors(case, fused_in_torch, dtype):
    findings = fused_errors(case, dtype, device='cpu')
    assert [finding.what for finding in findings] == [
        'loss',
        'loss without gradient',
        'gradient',
        'propagation, beta 1.0, threshold 0.0',
        'propagation, beta 2.5, threshold 0.6',
        'gradient differs in a second call',
    ]
    for finding in findings:
        assert finding.ok and finding.error < 1e-6 and finding.cpu_error < 1e-6


def test_a_wrong_path_is_found(case, fused_in_torch):
    fused_in_torch.update(grad_factor=1.001, value_offset=0.1)
    found = {finding.what: finding for finding in fused_errors(case, torch.float32, device='cpu')}
    assert found['gradient'].error == pytest.approx(1e-3, rel=1e-2)
    assert not found['gradient'].ok and found['loss'].ok
    assert not found['propagation, beta 1.0, threshold 0.0'].ok


def test_calls_to_time_compute_the_same(case, fused_in_torch):
    results = {
        **affinity_check.fused_calls(case, torch.float32, device='cpu'),
        **affinity_check.plain_calls(case, device='cpu'),
    }
    results = {name: call() for name, call in results.items()}
    for name in ('loss and gradient, streamed', 'loss and gradient, dense'):
        torch.testing.assert_close(
            results[name], results['loss and gradient'], check_dtype=False, rtol=1e-4, atol=1e-6
        )
    torch.testing.assert_close(results['propagation, streamed'], results['propagation'])


def test_nan_is_not_ok():
    assert not Finding('loss', 'float32', float('nan'), 0.0, 1e-5).ok


def test_the_dense_way_is_the_streamed_one(case):
    case = case.to('cpu', torch.float64, torch.float64)
    dense = dense_loss_and_grad(*case.pair_arguments)
    result = streamed.pair_loss_and_grad(*case.pair_arguments, needs_grad=True)
    torch.testing.assert_close(dense, result)


def test_blocks_that_are_chosen_are_candidates():
    candidates = affinity_check.candidate_blocks()
    assert set(fused.BLOCKS) < set(candidates)
    assert all(blocks.rows % blocks.cols == 0 for blocks in candidates)


class OutOfResources(Exception):
    """As triton's."""


def test_a_block_size_is_compared_with_float64(monkeypatch, fused_in_torch):
    asked = []

    def with_blocks(call):
        def called(*arguments, blocks, **options):
            asked.append(tuple(blocks))
            if arguments[0].dtype == torch.float16:
                raise OutOfResources
            return call(*arguments, **options)

        return called

    for name in ('pair_loss_and_grad', 'propagate'):
        monkeypatch.setattr(fused, name, with_blocks(getattr(fused, name)))
    options = dict(size=6, channels=8, maps=1, batch=1)
    found = affinity_check.blocks_errors((16, 16, 4, 1), options, device='cpu')
    assert set(asked) == {(16, 16, 4, 1)} and len(found) == len(asked) == 6
    assert [one is None for one in found.values()] == [False, False, True, True, False, False]
    assert all(error < 1e-6 and right for error, right in filter(None, found.values()))
    fused_in_torch.update(grad_factor=1.1)
    found = affinity_check.blocks_errors((16, 16, 4, 1), options, device='cpu')
    assert found['loss and gradient, torch.float32'] == (pytest.approx(0.1, rel=1e-2), False)
    assert found['propagation, torch.float32'][1]
