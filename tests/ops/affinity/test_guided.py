"""Guided propagation against a dense matrix A, and what it must keep."""

import numpy as np
import pytest
import torch

from mmp2seg.ops.affinity.guided import guided_propagation


def dense_matrix(image, dilations, color_scale=0.3, position_weight=0.01):
    """A of a small image, pixel by pixel, as the docstring writes it."""
    _, height, width = image.shape
    matrix = np.zeros((height * width, height * width))
    for row in range(height):
        for column in range(width):
            cells, lengths = [], []
            for dilation in dilations:
                for down in (-1, 0, 1):
                    for right in (-1, 0, 1):
                        if down or right:
                            cells.append(
                                (
                                    min(max(row + dilation * down, 0), height - 1),
                                    min(max(column + dilation * right, 0), width - 1),
                                )
                            )
                            lengths.append(dilation * np.hypot(down, right))
            own = image[:, row, column]
            colors = np.array([image[:, r, c] for r, c in cells])
            deviation = np.vstack([own, colors]).std(0, ddof=1)
            near_color = -(((colors - own) / (color_scale * deviation + 1e-8)) ** 2).mean(1)
            near_place = -((np.array(lengths) / (color_scale * np.std(lengths, ddof=1))) ** 2)
            row_weights = _softmax(near_color) + position_weight * _softmax(near_place)
            for (r, c), weight in zip(cells, row_weights / (1 + position_weight), strict=True):
                matrix[row * width + column, r * width + c] += weight
    return matrix


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


def test_flips_with_the_image():
    scores, image = random_case((8, 9))
    for axis in (1, 2):
        flipped = guided_propagation(scores.flip(axis), image.flip(axis))
        torch.testing.assert_close(flipped, guided_propagation(scores, image).flip(axis))


def test_a_window_with_its_reach_equals_the_whole():
    scores, image = random_case((60, 50))
    whole = guided_propagation(scores, image, iterations=2, dilations=(1, 3))
    # 2 steps of 3 pixels, and the deviation of the outermost of them 3 pixels further
    window = (slice(None), slice(20 - 9, 30 + 9), slice(15 - 9, 30 + 9))
    part = guided_propagation(scores[window], image[window], iterations=2, dilations=(1, 3))
    torch.testing.assert_close(part[:, 9:-9, 9:-9], whole[:, 20:30, 15:30])


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


def test_errors_name_what_is_wrong():
    scores, image = random_case()
    with pytest.raises(ValueError, match=r'got \(3, 6, 7\) and \(3, 6, 6\)'):
        guided_propagation(scores, image[:, :, 1:])
    with pytest.raises(ValueError, match=r'scores \(N, H, W\)'):
        guided_propagation(scores[0], image)
    for dilations in ((), (1, 0)):
        with pytest.raises(ValueError, match='dilations of at least 1'):
            guided_propagation(scores, image, dilations=dilations)
    with pytest.raises(ValueError, match='iterations >= 0 and a block >= 1, got -1 and 32'):
        guided_propagation(scores, image, iterations=-1)
    with pytest.raises(ValueError, match='iterations >= 0 and a block >= 1, got 5 and 0'):
        guided_propagation(scores, image, block=0)
