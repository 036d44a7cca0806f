"""What every affinity keeps, and what each of them does."""

import pytest
import torch
from mmengine.registry import DefaultScope

from mmp2seg.codecs import GuidedAffinity
from mmp2seg.registry import TASK_UTILS

CASES = {
    'guided': dict(type='mmp2seg.GuidedAffinity', iterations=2, dilations=(1, 3)),
    'guided, embedding': dict(type='mmp2seg.GuidedAffinity', use_embedding=True, beta=2.0),
}


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def affinity(request):
    return TASK_UTILS.build(request.param)


def random_case(size=(16, 20), labels=3, seed=0, dtype=torch.float64):
    """Scores, and what belongs to them; the embedding has a coarser grid."""
    generator = torch.Generator().manual_seed(seed)
    scores = torch.rand(labels, *size, generator=generator, dtype=torch.float64).to(dtype)
    image = 255 * torch.rand(3, *size, generator=generator, dtype=torch.float64).to(dtype)
    grid = (size[0] // 4, size[1] // 4)
    embedding = torch.randn(5, *grid, generator=generator, dtype=torch.float64).to(dtype)
    return scores / scores.sum(0), dict(image=image, embedding=embedding)


def random_mask(size=(16, 20), share=0.2, seed=1):
    return torch.rand(size, generator=torch.Generator().manual_seed(seed)) < share


@pytest.mark.parametrize('masked', [False, True])
def test_keeps_the_sums_and_is_not_negative(affinity, masked):
    scores, inputs = random_case()
    scores = (scores.argmax(0) == torch.arange(3)[:, None, None]).double()
    if masked:
        inputs.update(valid=~random_mask(), fixed=random_mask(seed=2))
    result = affinity(scores, **inputs)
    torch.testing.assert_close(result.sum(0), torch.ones(16, 20, dtype=torch.float64))
    assert result.min() >= 0
    assert (result - scores).abs().max() > 0.01


@pytest.mark.parametrize('masked', [False, True])
def test_constant_maps_stay_constant(affinity, masked):
    scores, inputs = random_case()
    if masked:
        inputs.update(valid=~random_mask(), fixed=random_mask(seed=2))
    constant = torch.tensor([0.5, 0.2, 0.3], dtype=torch.float64)[:, None, None].expand_as(scores)
    torch.testing.assert_close(affinity(constant, **inputs), constant)


def test_fixed_pixels_keep_their_scores_and_give_them(affinity):
    scores, inputs = random_case()
    free = affinity(scores, **inputs)
    fixed = torch.zeros(16, 20, dtype=torch.bool)
    fixed[6:9, 8:11] = True
    scores[:, fixed] = torch.tensor([1.0, 0, 0], dtype=torch.float64)[:, None]
    result = affinity(scores, fixed=fixed, **inputs)
    assert torch.equal(result[:, fixed], scores[:, fixed])
    near = torch.zeros_like(fixed)
    near[5:10, 7:12] = True
    assert (result[0] > free[0])[near & ~fixed].all()


def test_pixels_that_are_not_valid_neither_give_nor_take(affinity):
    scores, inputs = random_case()
    valid = ~random_mask()
    expected = affinity(scores, valid=valid, **inputs)
    assert torch.equal(expected[:, ~valid], scores[:, ~valid])
    assert (expected - affinity(scores, **inputs)).abs().max() > 1e-3
    scores, image = scores.clone(), inputs['image'].clone()
    scores[:, ~valid], image[:, ~valid] = torch.nan, torch.nan
    result = affinity(scores, **{**inputs, 'image': image}, valid=valid)
    torch.testing.assert_close(result[:, valid], expected[:, valid])


def test_without_a_valid_pixel_nothing_changes(affinity):
    scores, inputs = random_case()
    result = affinity(scores, valid=torch.zeros(16, 20, dtype=torch.bool), **inputs)
    assert torch.equal(result, scores)


def test_the_order_of_the_maps_does_not_matter(affinity):
    scores, inputs = random_case()
    order = [2, 0, 1]
    result = affinity(scores[order], **inputs)
    torch.testing.assert_close(result, affinity(scores, **inputs)[order])


@pytest.mark.parametrize('axis', [1, 2])
@pytest.mark.parametrize('size', [(16, 20), (18, 23)])
def test_flips_with_the_image(affinity, axis, size):
    scores, inputs = random_case(size)
    inputs.update(valid=~random_mask(size), fixed=random_mask(size, seed=2))
    flipped = {name: value.flip(axis - 3) for name, value in inputs.items()}
    result = affinity(scores.flip(axis), **flipped)
    torch.testing.assert_close(result, affinity(scores, **inputs).flip(axis))


def test_scale_and_offset_of_the_channels_do_not_matter(affinity):
    scores, inputs = random_case()
    scale = torch.tensor([0.01, 1, 3.0]).double()[:, None, None]
    expected = affinity(scores, **inputs)
    result = affinity(scores, **{**inputs, 'image': scale * inputs['image'] - 7})
    torch.testing.assert_close(result, expected, atol=1e-5, rtol=0)


def test_an_image_of_one_color_is_allowed(affinity):
    scores, inputs = random_case()
    result = affinity(scores, **{**inputs, 'image': torch.full_like(inputs['image'], 7)})
    assert result.isfinite().all()


def test_no_scores_give_no_scores(affinity):
    scores, inputs = random_case()
    assert affinity(scores[:0], **inputs).shape == (0, 16, 20)


def test_keeps_the_dtype_and_its_input(affinity):
    scores, inputs = random_case(dtype=torch.float32)
    expected = affinity(scores, **inputs)
    assert expected.dtype == torch.float32
    half = affinity(scores.half(), **inputs)
    assert half.dtype == torch.float16
    torch.testing.assert_close(half.float(), expected, atol=2e-3, rtol=0)
    copies = scores.clone(), {name: value.clone() for name, value in inputs.items()}
    with torch.autocast('cpu', torch.bfloat16):
        torch.testing.assert_close(affinity(scores, **inputs), expected)
    assert torch.equal(scores, copies[0])
    assert all(torch.equal(inputs[name], copies[1][name]) for name in inputs)


def test_a_window_with_its_reach_equals_the_whole(affinity):
    reach = affinity.reach
    if reach is None or affinity.needs_embedding:
        pytest.skip('the windows of this affinity are not cut')
    scores, inputs = random_case((40, 44))
    whole = affinity(scores, image=inputs['image'])
    window = (slice(None), slice(18 - reach, 22 + reach), slice(17 - reach, 25 + reach))
    part = affinity(scores[window], image=inputs['image'][window])
    core = (slice(None), slice(reach, -reach), slice(reach, -reach))
    torch.testing.assert_close(part[core], whole[:, 18:22, 17:25])


def test_a_missing_embedding_is_named(affinity):
    scores, inputs = random_case()
    if not affinity.needs_embedding:
        without = affinity(scores, image=inputs['image'])
        assert torch.equal(without, affinity(scores, **inputs))
        return
    with pytest.raises(ValueError, match=r'expected an embedding \(D, h, w\) for .*, got None'):
        affinity(scores, image=inputs['image'])
    with pytest.raises(ValueError, match=r'expected an embedding \(D, h, w\) for .*\(1, 5, 4, 5\)'):
        affinity(scores, image=inputs['image'], embedding=inputs['embedding'][None])


@pytest.mark.parametrize('scope', ['mmdet', 'mmseg', 'mmp2seg'])
@pytest.mark.parametrize('name', ['GuidedAffinity'])
def test_can_be_built_from_any_scope(scope, name):
    with DefaultScope.overwrite_default_scope(scope):
        assert type(TASK_UTILS.build(dict(type=f'mmp2seg.{name}'))).__name__ == name


def test_guided_reach():
    assert GuidedAffinity(iterations=5, dilations=(1, 8)).reach == 48
    assert GuidedAffinity(iterations=0).reach == 0


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(dilations=()), r'dilations of at least 1, got \(\)'),
        (dict(iterations=-1), 'got -1'),
        (dict(color_scale=0), 'color_scale > 0'),
        (dict(position_weight=-1.0), 'position_weight'),
        (dict(beta=-1.0), 'beta >= 0'),
    ],
)
def test_guided_refuses_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        GuidedAffinity(**options)
