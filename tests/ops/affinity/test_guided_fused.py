"""The fused guided propagation under Triton's interpreter, against the one in plain torch."""

import pytest
import torch

from mmp2seg.ops.affinity import guided, guided_fused
from mmp2seg.ops.affinity.guided import guided_propagation
from mmp2seg.testing.triton_interpreter import checks_of, interpreted_outcomes, run_checks

SIZE = (13, 19)


def scene(num_maps=3, channels=3, size=SIZE):
    scores = torch.rand(num_maps, *size).softmax(0)
    image = torch.rand(channels, *size) * 255
    image[:, : size[0] // 2, : size[1] // 2] += 300  # a strong edge
    image[:, -4:, -6:] = 7.0  # and no contrast at all
    return scores, image


def assert_as_in_torch(scores, image, **options):
    """Compare both paths; torch's in float64, so that its rounding does not count."""
    expected = guided_propagation(scores.double(), image.double(), **_doubled(options))
    supports, guided_fused.supports = guided_fused.supports, lambda scores, image: True
    try:
        result = guided_propagation(scores, image, **options)
    finally:
        guided_fused.supports = supports
    assert result.dtype == scores.dtype
    tolerance = 2e-5 if scores.dtype == torch.float32 else 2e-3
    torch.testing.assert_close(result.double(), expected, rtol=0, atol=tolerance, equal_nan=True)
    return result


def _doubled(options):
    return {key: value.double() if key == 'embedding' else value for key, value in options.items()}


def check_scores():
    for num_maps in (1, 4, 5):
        scores, image = scene(num_maps)
        before = scores.clone()
        for iterations in (1, 2, 5):
            assert_as_in_torch(scores, image, iterations=iterations)
        assert torch.equal(scores, before)


def check_other_options():
    scores, image = scene()
    assert_as_in_torch(scores, image, dilations=(1,), color_scale=1.0, position_weight=0.5)
    assert_as_in_torch(scores, image, dilations=(2, 8), position_weight=0.0)
    assert_as_in_torch(scores.half(), image)


def check_numbers_of_channels():
    for channels in (1, 2, 5):
        assert_as_in_torch(*scene(channels=channels))


def check_frames_smaller_than_a_step():
    for size in ((1, 1), (1, 7), (3, 2)):
        assert_as_in_torch(*scene(size=size), iterations=3)


def check_more_pixels_than_a_block():
    scores, image = scene(size=(24, 40))
    assert_as_in_torch(scores, image, iterations=2)


def check_padding_and_clicks():
    scores, image = scene()
    valid = torch.rand(SIZE) > 0.3
    valid[:6, 10:] = False  # some pixels have no valid neighbour
    valid[2, 14] = True
    fixed = torch.rand(SIZE) > 0.8
    for options in (dict(valid=valid), dict(fixed=fixed), dict(valid=valid, fixed=fixed)):
        result = assert_as_in_torch(scores, image, **options)
        kept = options.get('fixed', torch.zeros_like(fixed)) | ~options.get('valid', valid | True)
        assert torch.equal(result[:, kept], scores[:, kept])


def check_what_is_not_finite_in_padding_stays_there():
    scores, image = scene()
    valid = torch.ones(SIZE, dtype=torch.bool)
    valid[:, 15:] = False
    clean = assert_as_in_torch(scores, image, valid=valid)
    scores[:, ~valid], image[:, ~valid] = torch.nan, torch.inf
    result = assert_as_in_torch(scores, image, valid=valid)
    assert torch.equal(result[:, valid], clean[:, valid])


def check_an_embedding():
    scores, image = scene()
    embedding = torch.randn(6, *SIZE)
    assert_as_in_torch(scores, image, embedding=embedding, beta=2.0)
    fixed = torch.rand(SIZE) > 0.8
    assert_as_in_torch(scores, image, embedding=embedding, fixed=fixed)


def check_weights_that_are_kept():
    scores, image = scene()
    fixed = torch.rand(SIZE) > 0.8
    supports, guided_fused.supports = guided_fused.supports, lambda scores, image: True
    try:
        memo = {}
        guided_propagation(scores, image, memo=memo)
        (kept,) = memo.values()
        again = guided_propagation(scores, image, fixed=fixed, memo=memo)
        assert next(iter(memo.values())) is kept
        assert torch.equal(again, guided_propagation(scores, image, fixed=fixed))
    finally:
        guided_fused.supports = supports


def check_a_batch_is_its_images():
    scenes = [scene() for _ in range(3)]
    scores, image = (torch.stack(values) for values in zip(*scenes, strict=True))
    valid, fixed = torch.rand(3, *SIZE) > 0.2, torch.rand(3, *SIZE) > 0.8
    embedding = torch.randn(3, 4, *SIZE)
    for options in ({}, dict(valid=valid), dict(valid=valid, fixed=fixed, embedding=embedding)):
        result = assert_as_in_torch(scores, image, **options)
        for index, one in enumerate(scenes):
            of_one = {name: value[index] for name, value in options.items()}
            assert torch.equal(result[index], assert_as_in_torch(*one, **of_one))


def check_maps_that_are_not_contiguous():
    scores, image = scene()
    turned = [values.transpose(1, 2).contiguous().transpose(1, 2) for values in (scores, image)]
    assert torch.equal(assert_as_in_torch(*turned), assert_as_in_torch(scores, image))


CHECKS = checks_of(globals())


@pytest.fixture(scope='module')
def outcomes():
    pytest.importorskip('triton')
    return interpreted_outcomes(__file__)


@pytest.mark.parametrize('name', CHECKS)
def test_interpreted(outcomes, name):
    assert outcomes[name] == ''


def test_what_is_supported_where_triton_runs(monkeypatch):
    scores, image = scene()
    assert not guided_fused.supports(scores, image)  # a CPU
    monkeypatch.setattr(guided_fused, 'triton_runs', lambda *args, **options: True)
    assert guided_fused.supports(scores, image)
    assert not guided_fused.supports(scores.double(), image)
    assert not guided_fused.supports(scores, image.expand(17, 3, *SIZE)[:, 0])
    needs_grad = scores.clone().requires_grad_()
    assert not guided_fused.supports(needs_grad, image)
    with torch.no_grad():
        assert guided_fused.supports(needs_grad, image)


def test_the_kernels_get_what_torch_computes_with(monkeypatch):
    """All maps at a time, and the weights as the kernels expect them, without the kernels."""
    scores, image = scene(5)
    seen = []

    def propagate(values, weights, steps, *, fixed, iterations):
        seen.append((values.shape, weights.shape, len(steps), iterations))
        torch.testing.assert_close(weights.sum(1), torch.ones(1, *SIZE))
        return values

    monkeypatch.setattr(guided_fused, 'supports', lambda scores, image: True)
    monkeypatch.setattr(guided_fused, 'propagate', propagate)
    embedding = torch.rand(2, *SIZE)  # whose weights plain torch computes
    result = guided.guided_propagation(scores, image, iterations=4, block=2, embedding=embedding)
    assert torch.equal(result, scores)
    assert seen == [((1, 5, *SIZE), (1, 25, *SIZE), 24, 4)]


if __name__ == '__main__':
    run_checks(CHECKS)
