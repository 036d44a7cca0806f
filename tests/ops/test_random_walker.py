"""The random walker against dense solves, scikit-image and exact solutions of rows of cells."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmp2seg.ops.random_walker import DIRECTIONS, edge_weights, random_walker


def dense_laplacian(weights):
    """The (H*W, H*W) Laplacian, edge by edge."""
    height, width = weights.shape[1:]
    laplacian = np.zeros((height * width, height * width))
    for direction, (down, right) in enumerate(DIRECTIONS):
        for row in range(height):
            for column in range(width):
                other_row, other_column = row + down, column + right
                if other_row < height and 0 <= other_column < width:
                    weight = float(weights[direction, row, column])
                    one, other = row * width + column, other_row * width + other_column
                    laplacian[one, one] += weight
                    laplacian[other, other] += weight
                    laplacian[one, other] -= weight
                    laplacian[other, one] -= weight
    return laplacian


def dense_solution(unary, weights, strength):
    keep = strength.flatten().numpy()
    matrix = dense_laplacian(weights) + np.diag(keep)
    right = keep[:, None] * unary.flatten(1).T.numpy()
    return np.linalg.solve(matrix, right).T.reshape(unary.shape)


def random_case(size, labels=3, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    colors = 40 * torch.rand(3, *size, generator=generator, dtype=dtype)
    unary = torch.rand(labels, *size, generator=generator, dtype=dtype)
    unary /= unary.sum(0)
    strength = 0.01 + torch.rand(size, generator=generator, dtype=dtype)
    return unary, edge_weights(colors), strength


def test_weights_of_a_hand_made_image():
    # colours 0 1 / 0 3: squares of the differences 1, 9 (right), 0, 4 (down), 9 and 1 (diagonals)
    colors = torch.tensor([[[0.0, 1.0], [0.0, 3.0]]])
    weights = edge_weights(colors, beta=2.0, floor=0.5)
    mean = (1 + 9 + 0 + 4 + 9 + 1) / 6

    def weight(square, length):
        return (np.exp(-2 * square / mean) + 0.5) / length

    expected = torch.zeros(4, 2, 2)
    expected[0, 0, 0], expected[0, 1, 0] = weight(1, 1), weight(9, 1)
    expected[1, 0, 0], expected[1, 0, 1] = weight(0, 1), weight(4, 1)
    expected[2, 0, 0] = weight(9, 2**0.5)
    expected[3, 0, 1] = weight(1, 2**0.5)
    torch.testing.assert_close(weights, expected)


def test_weights_do_not_depend_on_the_scale_or_offset_of_colors():
    colors = torch.rand(3, 5, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    torch.testing.assert_close(edge_weights(7 * colors + 3), edge_weights(colors))


def test_cells_that_are_not_valid_have_no_edges():
    colors = torch.rand(3, 5, 6, generator=torch.Generator().manual_seed(0))
    padded = F.pad(colors, (1, 2, 3, 1), value=torch.nan)
    valid = F.pad(torch.ones(5, 6, dtype=torch.bool), (1, 2, 3, 1))
    weights = edge_weights(padded, valid=valid)
    torch.testing.assert_close(weights[:, 3:-1, 1:-2], edge_weights(colors))
    assert (weights[:, ~valid] == 0).all()
    assert (edge_weights(padded, valid=torch.zeros_like(valid)) == 0).all()


@pytest.mark.parametrize('size', [(1, 1), (1, 4), (4, 1)])
def test_weights_of_one_colour_are_those_of_equal_neighbours(size):
    weights = edge_weights(torch.full((3, *size), 5.0), floor=0.25)
    assert set(weights.unique().tolist()) <= {0.0, 1.25}
    assert int((weights > 0).sum()) == max(size) - 1


@pytest.mark.parametrize('solver', ['direct', 'cg'])
@pytest.mark.parametrize('size', [(1, 1), (1, 7), (7, 1), (2, 2), (6, 9), (9, 6), (17, 5)])
def test_equals_the_dense_solution(solver, size):
    unary, weights, strength = random_case(size)
    result = random_walker(unary, weights, strength, solver=solver, tolerance=1e-10)
    np.testing.assert_allclose(result, dense_solution(unary, weights, strength), atol=1e-8)


@pytest.mark.parametrize('solver', ['direct', 'cg'])
def test_seeds_at_the_ends_of_a_row_give_a_straight_line(solver):
    # without priors between the seeds, equal weights make the potential linear
    length = 9
    strength = torch.zeros(1, length, dtype=torch.float64)
    strength[0, 0] = strength[0, -1] = 1e9
    unary = torch.zeros(2, 1, length, dtype=torch.float64)
    unary[0, 0, 0] = unary[1, 0, -1] = 1
    weights = edge_weights(torch.zeros(3, 1, length, dtype=torch.float64))
    result = random_walker(unary, weights, strength, solver=solver, tolerance=1e-13)
    expected = torch.linspace(1, 0, length, dtype=torch.float64)
    torch.testing.assert_close(result[0, 0], expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(result[1, 0], expected.flip(0), atol=1e-6, rtol=0)


@pytest.mark.parametrize('solver', ['direct', 'cg'])
def test_a_seed_in_a_row_decays_exponentially(solver):
    # away from the seed: (2 w + s) x_i = w (x_i-1 + x_i+1), so x_i = r^i with r + 1/r = 2 + s / w
    weight, keep, length = 1.001, 0.2, 60
    strength = torch.full((1, length), keep, dtype=torch.float64)
    strength[0, 0] = 1e9
    unary = torch.zeros(1, 1, length, dtype=torch.float64)
    unary[0, 0, 0] = 1
    weights = edge_weights(torch.zeros(1, 1, length, dtype=torch.float64))
    half = 1 + keep / weight / 2
    ratio = half - (half**2 - 1) ** 0.5
    result = random_walker(unary, weights, strength, solver=solver, tolerance=1e-13)[0, 0, :20]
    expected = ratio ** torch.arange(20, dtype=torch.float64)
    torch.testing.assert_close(result, expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_solvers_agree_and_keep_the_sum_and_the_limits(dtype):
    unary, weights, strength = random_case((40, 30), labels=7, dtype=dtype)
    strength = strength * 0.02
    strength[3, 4] = strength[20, 20] = 100
    direct = random_walker(unary, weights, strength, solver='direct')
    iterative = random_walker(unary, weights, strength, solver='cg')
    assert direct.dtype == iterative.dtype == dtype
    torch.testing.assert_close(direct, iterative, atol=2e-5, rtol=0)
    for result in (direct, iterative):
        torch.testing.assert_close(
            result.sum(0), torch.ones(40, 30, dtype=dtype), atol=2e-5, rtol=0
        )
        assert (result.amax((1, 2)) <= unary.amax((1, 2)) + 1e-5).all()
        assert (result.amin((1, 2)) >= unary.amin((1, 2)) - 1e-5).all()


def test_auto_is_direct_on_the_cpu():
    unary, weights, strength = random_case((5, 6))
    direct = random_walker(unary, weights, strength, solver='direct')
    assert torch.equal(random_walker(unary, weights, strength), direct)


def test_nothing_crosses_a_strong_colour_edge():
    colors = torch.zeros(3, 12, 20)
    colors[:, :, 10:] = 100
    strength = torch.full((12, 20), 1e-6)
    unary = torch.zeros(2, 12, 20)
    for label, column in enumerate((1, 18)):
        unary[label, 6, column], strength[6, column] = 1, 100
    result = random_walker(unary, edge_weights(colors, beta=2.0), strength, solver='direct')
    assert torch.equal(result.argmax(0), (torch.arange(20) >= 10).long().expand(12, 20))
    # the edge holds for a seed that is much nearer too
    near = torch.zeros(2, 12, 20)
    strength = torch.full((12, 20), 1e-6)
    for label, column in enumerate((9, 19)):
        near[label, 6, column], strength[6, column] = 1, 100
    result = random_walker(near, edge_weights(colors, beta=2.0), strength, solver='direct')
    assert torch.equal(result.argmax(0), (torch.arange(20) >= 10).long().expand(12, 20))


@pytest.mark.parametrize('solver', ['direct', 'cg'])
def test_labels_do_not_depend_on_each_other_or_their_order(solver):
    unary, weights, strength = random_case((8, 11), labels=5)
    options = dict(solver=solver, tolerance=1e-10)
    whole = random_walker(unary, weights, strength, **options)
    order = torch.tensor([3, 0, 4, 1, 2])
    shuffled = random_walker(unary[order], weights, strength, **options)
    torch.testing.assert_close(shuffled, whole[order], atol=1e-8, rtol=0)
    single = random_walker(unary[2:3], weights, strength, **options)
    torch.testing.assert_close(single, whole[2:3], atol=1e-8, rtol=0)


@pytest.mark.parametrize('solver', ['direct', 'cg'])
def test_flips_with_the_image(solver):
    colors = torch.rand(3, 7, 9, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    unary, _, strength = random_case((7, 9), seed=5)
    options = dict(solver=solver, tolerance=1e-10)
    result = random_walker(unary, edge_weights(colors), strength, **options)
    flipped = random_walker(
        unary.flip(2), edge_weights(colors.flip(2)), strength.flip(1), **options
    )
    torch.testing.assert_close(flipped, result.flip(2), atol=1e-8, rtol=0)


def test_weights_that_leave_the_grid_are_not_used():
    # so a window of the weights of an image is the weights of the window
    unary, weights, strength = random_case((6, 8))
    beyond = weights.clone()
    beyond[0, :, -1] = beyond[1, -1] = beyond[2, -1] = beyond[2, :, -1] = 9
    beyond[3, -1] = beyond[3, :, 0] = 9
    for solver in ('direct', 'cg'):
        torch.testing.assert_close(
            random_walker(unary, beyond, strength, solver=solver),
            random_walker(unary, weights, strength, solver=solver),
        )


def test_labels_an_image_like_scikit_image():
    segmentation = pytest.importorskip('skimage.segmentation')
    rng = np.random.default_rng(0)
    image = np.zeros((24, 30))
    image[6:18, 8:22] = 1
    image += rng.normal(0, 0.1, image.shape)
    seeds = np.zeros((24, 30), int)
    seeds[12, 15], seeds[1, 1], seeds[22, 28] = 1, 2, 2
    theirs = segmentation.random_walker(image, seeds, beta=130, mode='bf', return_full_prob=True)
    strength = torch.from_numpy(np.where(seeds > 0, 1e9, 0.0))
    unary = torch.stack([torch.from_numpy((seeds == label).astype(float)) for label in (1, 2)])
    weights = edge_weights(torch.from_numpy(image)[None])
    ours = random_walker(unary, weights, strength, solver='direct').numpy()
    assert ours.argmax(0)[9, 10] == 0
    assert (ours.argmax(0) == theirs.argmax(0)).mean() > 0.99
    # theirs has 4 neighbours: with the same weights, the probabilities are the same too
    weights[2:] = 0
    gradients = (np.diff(image, axis=1), np.diff(image, axis=0))
    for index, gradient in enumerate(gradients):
        weight = np.exp(-130 * gradient**2 / (10 * image.std())) + 1e-6
        weights[index, : weight.shape[0], : weight.shape[1]] = torch.from_numpy(weight)
    ours = random_walker(unary, weights, strength, solver='direct').numpy()
    np.testing.assert_allclose(ours, theirs, atol=1e-3)


def test_empty_is_empty():
    _, weights, strength = random_case((4, 5))
    assert random_walker(torch.zeros(0, 4, 5), weights, strength).shape == (0, 4, 5)
    empty = random_walker(torch.zeros(2, 0, 5), torch.zeros(4, 0, 5), torch.zeros(0, 5))
    assert empty.shape == (2, 0, 5)
    assert edge_weights(torch.zeros(3, 0, 5)).shape == (4, 0, 5)


def test_does_not_change_its_input():
    inputs = random_case((5, 5))
    copies = [value.clone() for value in inputs]
    for solver in ('direct', 'cg'):
        random_walker(*inputs, solver=solver)
    assert all(torch.equal(value, copy) for value, copy in zip(inputs, copies, strict=True))


def test_errors_name_what_is_wrong():
    unary, weights, strength = random_case((4, 5))
    with pytest.raises(ValueError, match=r'expected colors \(C, H, W\), got the shape \(4, 5\)'):
        edge_weights(strength)
    with pytest.raises(ValueError, match='expected floor > 0, got 0'):
        edge_weights(torch.zeros(3, 4, 5), floor=0)
    with pytest.raises(ValueError, match=r'expected valid \(4, 5\), got \(5, 4\)'):
        edge_weights(torch.zeros(3, 4, 5), valid=torch.ones(5, 4, dtype=torch.bool))
    with pytest.raises(ValueError, match="'auto', 'direct', 'cg'.*got 'amg'"):
        random_walker(unary, weights, strength, solver='amg')
    with pytest.raises(ValueError, match=r'got \(3, 4, 5\), \(4, 4, 4\) and \(4, 5\)'):
        random_walker(unary, weights[:, :, 1:], strength)
    with pytest.raises(ValueError, match=r'\(4, 5\)'):
        random_walker(unary[0], weights, strength)
    with pytest.raises(ValueError, match='above 0 in at least one cell, got none'):
        random_walker(unary, weights, 0 * strength)
    with pytest.raises(RuntimeError, match='did not converge.*in 1 iterations'):
        random_walker(unary, weights, strength, solver='cg', max_iterations=1)


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
@pytest.mark.parametrize('scale', [1e-30, 1e-37, 0.0, 1e30])
def test_conjugate_gradients_solve_labels_of_any_scale(scale, dtype):
    generator = torch.Generator().manual_seed(0)
    unary = torch.rand(2, 6, 7, generator=generator, dtype=dtype)
    weights = edge_weights(torch.rand(3, 6, 7, generator=generator, dtype=dtype))
    strength = torch.full((6, 7), 0.01, dtype=dtype)
    expected = random_walker(unary, weights, strength, solver='direct')
    scales = torch.tensor([1, scale], dtype=dtype)[:, None, None]
    found = random_walker(unary * scales, weights, strength, solver='cg')
    torch.testing.assert_close(found, expected * scales, rtol=1e-4, atol=1e-5 * scale)
