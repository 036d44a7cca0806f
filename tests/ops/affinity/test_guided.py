"""Guided propagation against a dense matrix A, and what it must keep."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from mmp2seg.ops.affinity import guided
from mmp2seg.ops.affinity.guided import guided_propagation

STEPS = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1) if down or right]


def dense_matrix(
    image,
    dilations,
    *,
    color_scale=0.3,
    position_weight=0.01,
    valid=None,
    fixed=None,
    embedding=None,
    beta=1.0,
):
    """A of a small image, pixel by pixel, as the docstring writes it."""
    _, height, width = image.shape
    valid = np.ones((height, width), bool) if valid is None else valid
    fixed = np.zeros((height, width), bool) if fixed is None else fixed
    lengths = [d * np.hypot(*step) for d in dilations for step in STEPS]
    near = _softmax(-((np.array(lengths) / (color_scale * np.std(lengths, ddof=1))) ** 2))
    matrix = np.zeros((height * width, height * width))
    for row, column in np.ndindex(height, width):
        pixel = row * width + column
        cells = [
            (min(max(row + d * down, 0), height - 1), min(max(column + d * right, 0), width - 1))
            for d in dilations
            for down, right in STEPS
        ]
        known = [index for index, cell in enumerate(cells) if valid[cell]]
        if not valid[row, column] or fixed[row, column] or not known:
            matrix[pixel, pixel] = 1
            continue
        own = image[:, row, column]
        colors = np.array([image[(slice(None), *cells[index])] for index in known])
        deviation = np.vstack([own, colors]).std(0, ddof=1)
        differences = (colors - own) / (color_scale * deviation + 1e-8)
        weights = _softmax(-(differences**2).mean(1)) + position_weight * near[known]
        if embedding is not None:
            products = [
                embedding[:, row, column] @ embedding[(slice(None), *cells[index])]
                for index in known
            ]
            weights *= (1 / (1 + np.exp(-np.array(products)))) ** beta
        for index, weight in zip(known, weights / weights.sum(), strict=True):
            matrix[pixel, cells[index][0] * width + cells[index][1]] += weight
    return matrix


OPTIONAL = ('valid', 'fixed', 'embedding')


def random_options(size, share=0.2):
    """Values of the optional tensors, by name."""
    generator = torch.Generator().manual_seed(3)
    return dict(
        valid=torch.rand(size, generator=generator) > share,
        fixed=torch.rand(size, generator=generator) < share,
        embedding=torch.randn(4, *size, generator=generator, dtype=torch.float64),
    )


class NoHostValues(TorchDispatchMode):
    """Refuse tensors made of Python lists: on a GPU, each is a copy that waits for the device."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        assert func is not torch.ops.aten.lift_fresh.default, 'a tensor was made on the host'
        return func(*args, **(kwargs or {}))


def _softmax(values):
    exponents = np.exp(values - values.max())
    return exponents / exponents.sum()


def random_case(size=(6, 7), labels=3, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    image = 255 * torch.rand(3, *size, generator=generator, dtype=torch.float64)
    scores = torch.rand(labels, *size, generator=generator, dtype=torch.float64)
    return (scores / scores.sum(0)).to(dtype), image.to(dtype)


@pytest.mark.parametrize('dilations', [(1,), (1, 2, 4), (3, 9)])
@pytest.mark.parametrize('size', [(6, 7), (1, 5), (1, 1)])
def test_equals_the_dense_matrix(size, dilations):
    scores, image = random_case(size)
    matrix = dense_matrix(image.numpy(), dilations)
    np.testing.assert_allclose(matrix.sum(1), 1)
    expected = scores.flatten(1).numpy()
    for _ in range(3):
        expected = expected @ matrix.T
    result = guided_propagation(scores, image, iterations=3, dilations=dilations)
    np.testing.assert_allclose(result.flatten(1), expected, atol=1e-10)


@pytest.mark.parametrize('size', [(6, 7), (1, 5), (1, 1)])
@pytest.mark.parametrize('share', [0.2, 0.9])
@pytest.mark.parametrize('names', [('valid',), ('fixed',), ('embedding',), OPTIONAL])
def test_equals_the_dense_matrix_with_masks_and_an_embedding(size, share, names):
    scores, image = random_case(size)
    options = {name: value for name, value in random_options(size, share).items() if name in names}
    dense = {name: value.numpy() for name, value in options.items()}
    matrix = dense_matrix(image.numpy(), (1, 3), beta=1.7, **dense)
    np.testing.assert_allclose(matrix.sum(1), 1)
    expected = scores.flatten(1).numpy()
    for _ in range(3):
        expected = expected @ matrix.T
    result = guided_propagation(
        scores, image, iterations=3, dilations=(1, 3), beta=1.7, block=2, **options
    )
    np.testing.assert_allclose(result.flatten(1), expected, atol=1e-10)


@pytest.mark.parametrize('chunk', [1, 100, 1000])
def test_the_chunks_of_the_cpu_do_not_matter(chunk, monkeypatch):
    scores, image = random_case((13, 11))
    options = random_options((13, 11))
    expected = guided_propagation(scores, image, **options)
    monkeypatch.setattr(guided, '_CPU_CHUNK', chunk)
    torch.testing.assert_close(guided_propagation(scores, image, **options), expected)


def test_padding_that_is_not_valid_does_not_matter():
    scores, image = random_case((30, 32))
    embedding = random_options((30, 32))['embedding']
    options = dict(iterations=2, dilations=(1, 3))
    expected = guided_propagation(scores, image, embedding=embedding, **options)
    padding = (5, 4, 3, 6)
    valid = F.pad(torch.ones(30, 32, dtype=torch.bool), padding)
    larger = [F.pad(maps, padding, value=torch.nan) for maps in (scores, image, embedding)]
    result = guided_propagation(larger[0], larger[1], embedding=larger[2], valid=valid, **options)
    assert result[:, ~valid].isnan().all()
    # at its border, the image without padding repeats its outermost pixels
    inner = (slice(None), slice(6, -6), slice(6, -6))
    cropped = result[:, valid].reshape(scores.shape)
    torch.testing.assert_close(cropped[inner], expected[inner])
    torch.testing.assert_close(cropped.sum(0), torch.ones(30, 32, dtype=torch.float64))


def test_a_pixel_without_a_valid_neighbor_keeps_its_scores():
    scores, image = random_case((9, 9))
    valid = torch.zeros(9, 9, dtype=torch.bool)
    valid[4, 4] = True
    assert torch.equal(guided_propagation(scores, image, dilations=(1, 2), valid=valid), scores)
    valid[4, 6] = True  # a neighbour at a distance of 2: each takes the other's scores
    result = guided_propagation(scores, image, iterations=1, dilations=(1, 2), valid=valid)
    torch.testing.assert_close(result[:, 4, 4], scores[:, 4, 6])
    torch.testing.assert_close(result[:, 4, 6], scores[:, 4, 4])


def test_fixed_pixels_are_a_source():
    image = torch.zeros(3, 15, 15)
    scores = torch.zeros(2, 15, 15)
    scores[0] = 1
    scores[:, 7, 7] = torch.tensor([0.0, 1.0])
    fixed = torch.zeros(15, 15, dtype=torch.bool)
    fixed[7, 7] = True
    free, held = (
        guided_propagation(scores, image, iterations=20, dilations=(1,), fixed=mask)
        for mask in (None, fixed)
    )
    assert held[:, 7, 7].tolist() == [0, 1]
    assert held[1].sum() > 2 * free[1].sum()
    torch.testing.assert_close(held.sum(0), torch.ones(15, 15))


@pytest.mark.parametrize('masked', [False, True])
def test_a_memo_saves_the_weights_alone(masked, monkeypatch):
    torch.manual_seed(0)
    image = torch.rand(3, 20, 24)
    options = dict(valid=torch.rand(20, 24) > 0.2) if masked else {}
    calls, original = [], guided._matrix
    monkeypatch.setattr(
        guided, '_matrix', lambda *args, **kw: calls.append(1) or original(*args, **kw)
    )
    memo = {}
    for number in (1, 4, 2):  # other scores and other fixed pixels each time
        scores, fixed = torch.rand(number, 20, 24), torch.rand(20, 24) > 0.7
        for held in (None, fixed):
            found = guided_propagation(scores, image, fixed=held, memo=memo, **options)
            before = len(calls)
            expected = guided_propagation(scores, image, fixed=held, **options)
            assert torch.equal(found, expected) and len(calls) == before + 1
    assert len(calls) == 7


def test_the_embedding_separates_what_the_colors_do_not():
    image = torch.zeros(3, 12, 12)
    scores = torch.zeros(2, 12, 12)
    scores[0, :, :6], scores[1, :, 6:] = 1, 1
    embedding = torch.full((1, 12, 12), 3.0)
    embedding[:, :, 6:] *= -1
    blurred = guided_propagation(scores, image)
    held = guided_propagation(scores, image, embedding=embedding, beta=2.0)
    assert (held - scores).abs().max() < 0.01 < 0.3 < (blurred - scores).abs().max()
    same = guided_propagation(scores, image, embedding=embedding, beta=0.0)
    torch.testing.assert_close(same, blurred)


def test_an_embedding_of_any_size_keeps_the_rows():
    scores, image = random_case((8, 9), dtype=torch.float32)
    embedding = 100 * torch.randn(4, 8, 9, generator=torch.Generator().manual_seed(0))
    result = guided_propagation(scores, image, embedding=embedding, beta=5.0)
    torch.testing.assert_close(result.sum(0), torch.ones(8, 9))


def test_is_computed_in_float32_under_autocast():
    scores, image = random_case((9, 8), dtype=torch.float32)
    options = random_options((9, 8))
    options['embedding'] = options['embedding'].float()
    expected = guided_propagation(scores, image, **options)
    with torch.autocast('cpu', torch.bfloat16):
        assert torch.equal(guided_propagation(scores, image, **options), expected)


def test_never_waits_for_the_device():
    """Fake tensors have no values: reading one on the host raises an error."""
    with FakeTensorMode():
        mask = torch.empty(9, 8, dtype=torch.bool)
        scores, image, embedding = torch.empty(3, 3, 9, 8)
        with NoHostValues():
            result = guided_propagation(scores, image, valid=mask, fixed=mask, embedding=embedding)
            with pytest.raises(AssertionError, match='on the host'):
                torch.tensor([1.0])
        assert result.shape == (3, 9, 8)


def test_the_options_are_those_of_the_matrix():
    scores, image = random_case()
    matrix = dense_matrix(image.numpy(), (2,), color_scale=0.8, position_weight=0.5)
    result = guided_propagation(
        scores, image, iterations=1, dilations=(2,), color_scale=0.8, position_weight=0.5
    )
    np.testing.assert_allclose(result.flatten(1), scores.flatten(1).numpy() @ matrix.T, atol=1e-10)


def test_keeps_sums_limits_and_constants():
    scores, image = random_case((20, 17), labels=6)
    result = guided_propagation(scores, image)
    torch.testing.assert_close(result.sum(0), torch.ones(20, 17, dtype=torch.float64))
    assert (result.amax((1, 2)) <= scores.amax((1, 2)) + 1e-12).all()
    assert (result.amin((1, 2)) >= scores.amin((1, 2)) - 1e-12).all()
    constant = torch.full((1, 20, 17), 0.3, dtype=torch.float64)
    torch.testing.assert_close(guided_propagation(constant, image), constant)


@pytest.mark.parametrize('block', [1, 2, 5, 7, 100])
def test_the_block_does_not_matter(block):
    scores, image = random_case((9, 8), labels=7, dtype=torch.float32)
    expected = guided_propagation(scores, image, block=32)
    torch.testing.assert_close(guided_propagation(scores, image, block=block), expected)


def test_scale_and_offset_of_the_image_do_not_matter():
    scores, image = random_case((9, 8))
    expected = guided_propagation(scores, image)
    moved = guided_propagation(scores, image / 255 - 3)
    torch.testing.assert_close(moved, expected, atol=1e-6, rtol=0)
    # in float32, a bright and almost flat image keeps its differences
    flat = image.float().round() % 2
    torch.testing.assert_close(
        guided_propagation(scores.float(), flat + 4000), guided_propagation(scores.float(), flat)
    )


def test_a_colour_edge_holds_and_pulls_a_shifted_score_to_it():
    image = torch.zeros(3, 24, 24)
    image[:, :, 12:] = 200
    image += torch.rand(image.shape, generator=torch.Generator().manual_seed(0))
    scores = torch.zeros(2, 24, 24)
    scores[0, :, :11], scores[1, :, 11:] = 1, 1  # one column off the edge
    result = guided_propagation(scores, image, iterations=10)
    assert torch.equal(result.argmax(0), (torch.arange(24) >= 12).long().expand(24, 24))


def test_without_an_edge_it_blurs_evenly():
    image = torch.full((3, 9, 9), 7.0)
    scores = torch.zeros(1, 9, 9)
    scores[0, 4, 4] = 1
    result = guided_propagation(scores, image, iterations=1, dilations=(1,), position_weight=0.0)[0]
    expected = torch.zeros(9, 9)
    expected[3:6, 3:6] = 1 / 8
    expected[4, 4] = 0
    torch.testing.assert_close(result, expected)


def test_the_order_of_the_dilations_does_not_matter():
    scores, image = random_case()
    one, other = (
        guided_propagation(scores, image, dilations=dilations, color_scale=0.01)
        for dilations in ((1, 60), (60, 1))
    )
    torch.testing.assert_close(one, other)


def test_flips_with_the_image():
    scores, image = random_case((8, 9))
    for axis in (1, 2):
        flipped = guided_propagation(scores.flip(axis), image.flip(axis))
        torch.testing.assert_close(flipped, guided_propagation(scores, image).flip(axis))


def test_a_window_with_its_reach_equals_the_whole():
    scores, image = random_case((60, 50))
    whole = guided_propagation(scores, image, iterations=2, dilations=(1, 3))
    # 2 steps of 3 pixels
    window = (slice(None), slice(20 - 6, 30 + 6), slice(15 - 6, 30 + 6))
    part = guided_propagation(scores[window], image[window], iterations=2, dilations=(1, 3))
    torch.testing.assert_close(part[:, 6:-6, 6:-6], whole[:, 20:30, 15:30])


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    scores, image = random_case((9, 8), dtype=torch.float32)
    small = scores.to(dtype)
    result = guided_propagation(small, image)
    assert result.dtype == dtype
    assert torch.equal(result, guided_propagation(small.float(), image).to(dtype))


def test_no_steps_and_no_scores_return_a_copy():
    scores, image = random_case()
    result = guided_propagation(scores, image, iterations=0)
    assert torch.equal(result, scores)
    assert result.data_ptr() != scores.data_ptr()
    assert guided_propagation(scores[:0], image).shape == (0, 6, 7)
    assert guided_propagation(scores[:, :0], image[:, :0]).shape == (3, 0, 7)


def test_does_not_change_its_input():
    scores, image = random_case()
    copies = scores.clone(), image.clone()
    guided_propagation(scores, image)
    assert torch.equal(scores, copies[0])
    assert torch.equal(image, copies[1])


def test_gradients_flow_to_the_scores():
    scores, image = random_case((4, 5), labels=2)
    scores.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda s: guided_propagation(s, image, iterations=2, dilations=(1, 2), block=1), scores
    )
    options = random_options((4, 5))
    assert torch.autograd.gradcheck(
        lambda s: guided_propagation(s, image, iterations=2, dilations=(1, 2), **options), scores
    )


def test_errors_name_what_is_wrong():
    scores, image = random_case()
    with pytest.raises(ValueError, match=r'got \(3, 6, 7\) and \(3, 6, 6\)'):
        guided_propagation(scores, image[:, :, 1:])
    with pytest.raises(ValueError, match=r'got \(2, 3, 6, 7\) and \(1, 3, 6, 7\)'):
        guided_propagation(scores.expand(2, 3, 6, 7), image[None])
    with pytest.raises(ValueError, match=r'scores \(\[B,\] N, H, W\)'):
        guided_propagation(scores[0], image)
    for dilations in ((), (1, 0)):
        with pytest.raises(ValueError, match='dilations of at least 1'):
            guided_propagation(scores, image, dilations=dilations)
    with pytest.raises(ValueError, match='iterations >= 0 and a block >= 1, got -1 and 32'):
        guided_propagation(scores, image, iterations=-1)
    with pytest.raises(ValueError, match='iterations >= 0 and a block >= 1, got 5 and 0'):
        guided_propagation(scores, image, block=0)
    with pytest.raises(ValueError, match='beta >= 0, got -1'):
        guided_propagation(scores, image, beta=-1)
    for name in ('valid', 'fixed'):
        with pytest.raises(ValueError, match=rf'{name} as bool .*\(6, 7\), got torch.float64'):
            guided_propagation(scores, image, **{name: image[0]})
        with pytest.raises(ValueError, match=rf'{name} as bool .*got torch.bool of \(3, 6, 7\)'):
            guided_propagation(scores, image, **{name: image > 0})
    with pytest.raises(ValueError, match=r'embedding \(\[B,\] D, 6, 7\), got \(3, 6, 6\)'):
        guided_propagation(scores, image, embedding=image[:, :, 1:])


@pytest.mark.parametrize('with_more', [False, True])
def test_a_batch_is_its_images(with_more):
    cases = [random_case() for _ in range(3)]
    scores, image = (torch.stack(values) for values in zip(*cases, strict=True))
    image = image + torch.rand_like(image)
    options = {}
    if with_more:
        valid, fixed = torch.rand(3, 6, 7) > 0.2, torch.rand(3, 6, 7) > 0.8
        options = dict(valid=valid, fixed=fixed, embedding=torch.rand(3, 2, 6, 7).to(image))
    memo = {}
    result = guided_propagation(scores, image, memo=memo, **options)
    assert torch.equal(guided_propagation(scores, image, memo=memo, **options), result)
    for index in range(3):
        of_one = {name: value[index] for name, value in options.items()}
        alone = guided_propagation(scores[index], image[index], **of_one)
        assert torch.equal(result[index], alone)
