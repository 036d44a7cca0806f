"""What every affinity keeps, and what each of them does."""

import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import DefaultScope

from mmp2seg.codecs import GuidedAffinity, PairwiseAffinity, RandomWalkerAffinity
from mmp2seg.codecs.affinities import propagate_batch
from mmp2seg.ops.affinity import propagate
from mmp2seg.ops.affinity.guided import guided_propagation
from mmp2seg.ops.random_walker import edge_weights, random_walker
from mmp2seg.registry import TASK_UTILS

CASES = {
    'guided': dict(type='mmp2seg.GuidedAffinity', iterations=2, dilations=(1, 3)),
    'guided, embedding': dict(type='mmp2seg.GuidedAffinity', use_embedding=True, beta=2.0),
    'pairwise': dict(type='mmp2seg.PairwiseAffinity', rounds=2),
    'pairwise, near': dict(type='mmp2seg.PairwiseAffinity', beta=3.0, threshold=0.1, radius=2.0),
    'walker': dict(type='mmp2seg.RandomWalkerAffinity'),
    'walker, stride': dict(type='mmp2seg.RandomWalkerAffinity', stride=4),
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
@pytest.mark.parametrize('name', ['GuidedAffinity', 'PairwiseAffinity', 'RandomWalkerAffinity'])
def test_can_be_built_from_any_scope(scope, name):
    with DefaultScope.overwrite_default_scope(scope):
        assert type(TASK_UTILS.build(dict(type=f'mmp2seg.{name}'))).__name__ == name


def test_a_window_with_the_reach_of_guided_equals_the_whole():
    affinity = GuidedAffinity(iterations=2, dilations=(1, 3))
    assert affinity.reach == 6
    scores, inputs = random_case((40, 44))
    whole = affinity(scores, image=inputs['image'])[:, 18:22, 17:25]
    for reach, equal in ((6, True), (5, False)):
        window = (slice(None), slice(18 - reach, 22 + reach), slice(17 - reach, 25 + reach))
        part = affinity(scores[window], image=inputs['image'][window])
        assert torch.allclose(part[:, reach:-reach, reach:-reach], whole) == equal


def test_the_others_reach_the_whole_image():
    assert GuidedAffinity(iterations=0).reach == 0
    assert PairwiseAffinity(radius=2.0).reach is None
    assert RandomWalkerAffinity().reach is None


def test_guided_is_the_function_on_the_resized_embedding():
    scores, inputs = random_case()
    fine = F.interpolate(inputs['embedding'][None], (16, 20), mode='bilinear')[0]
    expected = guided_propagation(
        scores, inputs['image'], iterations=5, dilations=(1, 2, 4), embedding=fine, beta=0.5
    )
    result = GuidedAffinity(use_embedding=True, beta=0.5)(scores, **inputs)
    torch.testing.assert_close(result, expected)


def test_pairwise_on_the_grid_of_the_image_is_the_function():
    scores, inputs = random_case((8, 9))
    embedding = torch.randn(4, 8, 9, generator=torch.Generator().manual_seed(2)).double()
    valid = ~random_mask((8, 9))
    options = dict(rounds=2, beta=2.0, threshold=0.1, radius=3.0)
    expected = propagate(embedding[None], scores[None], valid=valid[None], **options)[0]
    result = PairwiseAffinity(**options)(
        scores, image=inputs['image'], embedding=embedding, valid=valid
    )
    torch.testing.assert_close(result, expected.where(valid, scores))


def test_pairwise_holds_fixed_cells_in_every_round():
    """Two alike cells and one unlike both; the first is fixed."""
    embedding = torch.tensor([[[3.0, 3.0, -3.0]]])
    scores = torch.tensor([[[1.0, 0, 0]], [[0, 1, 1]]])
    fixed = torch.tensor([[True, False, False]])
    image = torch.zeros(1, 1, 3)
    for rounds, expected in ((1, 0.5), (2, 0.75), (3, 0.875)):
        affinity = PairwiseAffinity(rounds=rounds, threshold=0.5)
        result = affinity(scores, image=image, embedding=embedding, fixed=fixed)
        assert result[0, 0].tolist() == pytest.approx([1, expected, 0])


def test_the_walker_on_pixels_is_the_function():
    scores, inputs = random_case()
    fixed = random_mask()
    image = inputs['image']
    colors = (image - image.mean((1, 2), keepdim=True)) / image.std(
        (1, 2), keepdim=True, correction=0
    )
    strength = torch.full((16, 20), 0.05, dtype=torch.float64).masked_fill(fixed, 30.0)
    expected = random_walker(scores, edge_weights(colors), strength)
    affinity = RandomWalkerAffinity(strength=0.05, fixed_strength=30.0)
    result = affinity(scores, image=image, fixed=fixed)
    torch.testing.assert_close(result, scores.where(fixed, expected))


@pytest.mark.parametrize(
    'affinity', [RandomWalkerAffinity(stride=4), PairwiseAffinity()], ids=['walker', 'pairwise']
)
def test_a_step_on_cells_adds_their_change_to_the_pixels(affinity):
    """Both cells of the image have the same mean scores: nothing changes in any pixel."""
    scores = torch.tensor([[1.0, 0, 0, 1, 0, 1, 1, 0]]).expand(4, 8)
    scores = torch.stack([scores, 1 - scores])
    image = torch.rand(3, 4, 8, generator=torch.Generator().manual_seed(0))
    embedding = torch.tensor([[[2.0, 1.0]]])
    result = affinity(scores, image=image, embedding=embedding)
    torch.testing.assert_close(result, scores)
    # The second cell loses: its pixels move towards the first cell's scores, and keep their detail.
    scores[0, :, :4], scores[1, :, :4] = 1, 0
    result = affinity(scores, image=image, embedding=embedding)
    assert (result[0, :, 4:] >= scores[0, :, 4:]).all()
    assert (result[0, :, 6] > result[0, :, 7]).all()
    assert (result[0, :, 7] > 0.1).all()


@pytest.mark.parametrize('name', ['valid', 'fixed', 'image'])
def test_wrong_sizes_are_named(affinity, name):
    scores, inputs = random_case()
    wrong = inputs['image'][:, 1:] if name == 'image' else random_mask((15, 20))
    with pytest.raises(ValueError, match=rf'expected .*{name} .*, got .*15, 20'):
        affinity(scores, **{**inputs, name: wrong})


@pytest.mark.parametrize(
    'options', [dict(rounds=-1), dict(beta=0.0)], ids=lambda options: next(iter(options))
)
def test_pairwise_refuses_wrong_options(options):
    with pytest.raises(ValueError, match='expected rounds >= 0 and beta > 0, got'):
        PairwiseAffinity(**options)


@pytest.mark.parametrize(
    'options',
    [dict(strength=0.0), dict(fixed_strength=0.0), dict(stride=0)],
    ids=lambda options: next(iter(options)),
)
def test_the_walker_refuses_wrong_options(options):
    with pytest.raises(ValueError, match='expected strength and fixed_strength > 0 and stride'):
        RandomWalkerAffinity(**options)


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


@pytest.mark.parametrize('masked', [False, True])
def test_a_batch_is_its_images(affinity, masked):
    cases = [random_case(seed=seed) for seed in (1, 2)]
    scores = torch.stack([one for one, _ in cases])
    maps = {name: torch.stack([more[name] for _, more in cases]) for name in cases[0][1]}
    if masked:
        for name, seed in (('valid', 3), ('fixed', 4)):
            maps[name] = torch.stack([random_mask(share=0.8, seed=seed + one) for one in (0, 9)])
    result = propagate_batch(affinity, scores, **maps)
    for index, one in enumerate(scores):
        alone = affinity(one, **{name: values[index] for name, values in maps.items()})
        torch.testing.assert_close(result[index], alone)


def test_a_class_that_inherits_gets_the_images_one_by_one():
    class Noting(GuidedAffinity):
        def __call__(self, scores, **maps):
            seen.append(tuple(scores.shape))
            return super().__call__(scores, **maps)

    seen = []
    scores, maps = random_case()
    two = torch.stack([scores, scores])
    images = torch.stack([maps['image'], maps['image']])
    expected = propagate_batch(GuidedAffinity(), two, image=images)
    assert torch.equal(propagate_batch(Noting(), two, image=images), expected)
    assert seen == [tuple(scores.shape)] * 2
    Noting.takes_batches = True
    propagate_batch(Noting(), two, image=images)
    assert seen[2:] == [tuple(two.shape)]
