import numpy as np
import pytest
import torch

from mmp2seg.ops.point_similarity import (
    class_unary,
    cosine_maps,
    feature_lengths,
    geometric_mean,
    nearest_distances,
    normalize_levels,
    otsu_threshold,
    replace_points,
    sample_levels,
    sample_levels_at,
    sample_sum,
    similarity_unary,
    size_prior,
    spacing_radii,
)


def centers(count, stride):
    return (torch.arange(count, dtype=torch.float64) + 0.5) * stride


def random_levels(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [
        3 + torch.randn(5, 4, 6, generator=generator, dtype=torch.float64),
        100 * torch.randn(2, 2, 3, generator=generator, dtype=torch.float64),
    ]


def test_sampling_reads_cell_centres_and_between_them():
    level = torch.tensor([[[1.0, 3.0]], [[0.0, 4.0]]])  # 2 channels, 1 x 2 cells of 16 pixels
    xs = torch.tensor([0.0, 8.0, 12.0, 16.0, 24.0, 40.0])
    result = sample_levels([level], [16], xs, torch.tensor([8.0]))[:, 0]
    raw = torch.tensor([[1, 1, 1.5, 2, 3, 3], [0, 0, 1, 2, 4, 4]])
    torch.testing.assert_close(result, raw / raw.norm(dim=0))


def test_single_positions_are_those_of_the_grid():
    levels, strides, xs, ys = random_levels(), [8, 16], centers(12, 4), centers(8, 4)
    grid = sample_levels(levels, strides, xs, ys)
    result = sample_levels_at(levels, strides, xs[[3, 0, 11]], ys[[7, 2, 0]])
    torch.testing.assert_close(result, grid[:, [7, 2, 0], [3, 0, 11]])
    assert sample_levels_at(levels, strides, xs[:0], ys[:0]).shape == (7, 0)


@pytest.mark.parametrize('rows', [slice(0, 8), slice(0, 1), slice(3, 7), slice(7, 8)])
@pytest.mark.parametrize('columns', [slice(0, 12), slice(4, 5), slice(11, 12), slice(2, 9)])
def test_cosine_maps_are_products_with_the_sampled_features(rows, columns):
    levels, strides = random_levels(), [8, 16]
    xs, ys = centers(12, 4)[columns], centers(8, 4)[rows]
    features = sample_levels_at(levels, strides, centers(5, 9), centers(5, 6))
    lengths = feature_lengths(levels, strides, xs, ys, block=3)
    maps = cosine_maps(features.T, levels, strides, xs, ys, lengths=lengths)
    expected = torch.einsum('cn,chw->nhw', features, sample_levels(levels, strides, xs, ys))
    torch.testing.assert_close(maps, expected)


def test_cosine_maps_of_nothing():
    levels = [torch.zeros(2, 2, 2)]
    xs = ys = torch.tensor([4.0, 12.0])
    lengths = feature_lengths(levels, [8], xs, ys)
    assert torch.equal(lengths, torch.zeros(2, 2))
    assert cosine_maps(torch.zeros(0, 2), levels, [8], xs, ys, lengths=lengths).shape == (0, 2, 2)
    zero = cosine_maps(torch.ones(1, 2), levels, [8], xs, ys, lengths=lengths)
    assert torch.equal(zero, torch.zeros(1, 2, 2))


def test_sampled_features_have_length_1_or_0():
    levels = [torch.zeros(2, 2, 2), torch.zeros(3, 1, 1)]
    levels[0][0, 0, 0] = 7
    result = sample_levels(levels, [8, 16], torch.tensor([4.0, 12.0]), torch.tensor([4.0, 12.0]))
    assert result.shape == (5, 2, 2)
    assert result.norm(dim=0).tolist() == [[1, 0], [0, 0]]


@pytest.mark.parametrize('block', [1, 3, 32])
def test_normalised_levels_have_the_mean_0_and_a_length_near_1_on_the_grid(block):
    levels, strides, xs, ys = random_levels(), [8, 16], centers(12, 4), centers(8, 4)
    normalized = normalize_levels(levels, strides, xs, ys, block=block)
    for level, before, stride in zip(normalized, levels, strides, strict=True):
        assert level.shape == before.shape
        # grid_sample at every cell of the level is the level: compare the same affine map
        grid = [_bilinear(before, stride, float(x), float(y)) for y in ys for x in xs]
        grid = torch.stack(grid, 1)
        mean, length = grid.mean(1), grid.norm(dim=0).mean()
        torch.testing.assert_close(level, (before - mean[:, None, None]) / length)
        after = [_bilinear(level, stride, float(x), float(y)) for y in ys for x in xs]
        torch.testing.assert_close(torch.stack(after, 1).mean(1), torch.zeros_like(mean))


def _bilinear(level, stride, x, y):
    height, width = level.shape[1:]
    x = min(max(x / stride - 0.5, 0), width - 1)
    y = min(max(y / stride - 0.5, 0), height - 1)
    left, top = min(int(x), max(width - 2, 0)), min(int(y), max(height - 2, 0))
    right, bottom = min(left + 1, width - 1), min(top + 1, height - 1)
    across = [(1 - x + left) * level[:, r, left] + (x - left) * level[:, r, right]
              for r in (top, bottom)]  # fmt: skip
    return (1 - y + top) * across[0] + (y - top) * across[1]


def test_scale_and_offset_of_a_level_do_not_matter():
    levels, strides, xs, ys = random_levels(), [8, 16], centers(12, 4), centers(8, 4)
    expected = sample_levels(normalize_levels(levels, strides, xs, ys), strides, xs, ys)
    moved = [100 * levels[0] + 7, levels[1] / 3 - 1]
    # the offset counts before the length is measured: only the scale is free
    scaled = [100 * levels[0], levels[1] / 3]
    result = sample_levels(normalize_levels(scaled, strides, xs, ys), strides, xs, ys)
    torch.testing.assert_close(result, expected)
    single = [
        sample_levels(normalize_levels([level], [8], xs, ys), [8], xs, ys)
        for level in (levels[0], moved[0])
    ]
    torch.testing.assert_close(*single)


def test_constant_levels_stay_finite():
    for value in (0.0, 5.0):
        level = torch.full((3, 2, 2), value)
        normalized = normalize_levels([level], [8], torch.tensor([4.0]), torch.tensor([4.0]))
        assert torch.equal(normalized[0], torch.zeros(3, 2, 2))


def test_otsu_separates_two_groups():
    rng = np.random.default_rng(0)
    low, high = rng.normal(-0.5, 0.05, 300), rng.normal(0.6, 0.05, 100)
    threshold = otsu_threshold(np.concatenate([low, high]))
    assert low.max() <= threshold < high.min()
    # it moves with the values
    moved = otsu_threshold(3 * np.concatenate([low, high]) + 10)
    assert moved == pytest.approx(3 * threshold + 10)


def test_otsu_of_two_values_lies_between_them():
    assert 0 <= otsu_threshold(np.array([0.0, 0.0, 1.0])) < 1
    assert otsu_threshold(np.full((2, 3), 0.25, np.float32)) == 0.25


@pytest.mark.parametrize('values', [[], [0.0, np.nan], [np.inf, 1.0]])
def test_otsu_needs_finite_values(values):
    with pytest.raises(ValueError, match='expected finite values'):
        otsu_threshold(np.array(values))


def test_size_prior_of_a_hand_made_row():
    points, radii = torch.tensor([[2.0, 1.0], [0.0, 0.0]]), torch.tensor([2.0, 1.0])
    prior = size_prior(points, radii, torch.tensor([2.0, 4.0]), torch.tensor([1.0, 4.0]))
    squares = torch.tensor([[[0.0, 4], [9, 13]], [[5, 17], [20, 32]]])
    expected = torch.exp(-squares / torch.tensor([8.0, 2.0])[:, None, None])
    torch.testing.assert_close(prior, expected)


def test_nearest_distances_and_radii():
    points = torch.tensor([[0.0, 0], [3, 4], [3, 5], [100, 5], [100, 5]], dtype=torch.float64)
    distances = nearest_distances(points)
    assert distances.tolist() == [5, 1, 1, 0, 0]
    for block in (1, 2, 4):
        assert torch.equal(nearest_distances(points, block=block), distances)
    radii = spacing_radii(points, smallest=2, largest=4, factor=1.5)
    assert radii.tolist() == [6, 3, 3, 3, 3]


def test_one_point_has_the_largest_radius_and_no_point_none():
    one, none = torch.zeros(1, 2), torch.zeros(0, 2)
    assert nearest_distances(one).tolist() == [np.inf]
    assert spacing_radii(one, smallest=8, largest=50).tolist() == [50]
    assert spacing_radii(one, smallest=8, largest=5).tolist() == [8]  # a tiny image
    assert nearest_distances(none).shape == (0,)
    assert spacing_radii(none, smallest=8, largest=50).shape == (0,)


def test_far_points_keep_their_small_distance():
    points = torch.tensor([[10000.0, 10000], [10000, 10000.5]])
    assert nearest_distances(points).tolist() == [0.5, 0.5]


def test_unary_without_priors_is_the_softmax():
    similarity = torch.tensor([[[0.9, 0.1]], [[0.3, 0.2]]], dtype=torch.float64)
    result = similarity_unary(similarity, torch.ones_like(similarity), threshold=0.4)
    logits = torch.cat([similarity, torch.full((1, 1, 2), 0.4, dtype=torch.float64)]) / 0.1
    torch.testing.assert_close(result, logits.softmax(0))


def test_unary_weights_points_by_the_prior_twice():
    similarity = torch.tensor([[[0.5]], [[0.7]]], dtype=torch.float64)
    prior = torch.tensor([[[0.8]], [[0.1]]], dtype=torch.float64)
    result = similarity_unary(similarity, prior, threshold=0.6, temperature=0.2)
    shares = np.array([0.8 * np.exp(0.5 / 0.2), 0.1 * np.exp(0.7 / 0.2)])
    won = shares / (shares.sum() + np.exp(0.6 / 0.2)) * [0.8, 0.1]
    np.testing.assert_allclose(result[:, 0, 0], [*won, 1 - won.sum()])


def test_a_background_click_takes_what_looks_like_it():
    similarity = torch.tensor([[[0.9, 0.9]]])
    background = torch.tensor([[[0.95, -0.9]], [[0.1, -0.8]]])
    ones = torch.ones(1, 1, 2)
    without = similarity_unary(similarity, ones, threshold=0.2)
    result = similarity_unary(similarity, ones, threshold=0.2, background=background)
    assert (without[0] > 0.99).all()
    assert result[0, 0, 0] < 0.5
    assert result[0, 0, 1] > 0.99
    none = similarity_unary(similarity, ones, threshold=0.2, background=background[:0])
    assert torch.equal(none, without)


@pytest.mark.parametrize('temperature', [0.1, 0.01, 0.001])
def test_unary_is_finite_and_sums_to_1_at_any_temperature(temperature):
    generator = torch.Generator().manual_seed(0)
    similarity = 2 * torch.rand(4, 5, 6, generator=generator) - 1
    prior = torch.rand(4, 5, 6, generator=generator)
    prior[:, 0] = 0  # far from all points
    result = similarity_unary(similarity, prior, threshold=-0.9, temperature=temperature)
    assert (result >= 0).all()
    torch.testing.assert_close(result.sum(0), torch.ones(5, 6))
    assert torch.equal(result[-1, 0], torch.ones(6))


def test_no_points_leave_all_to_the_background():
    none = torch.zeros(0, 2, 3)
    result = similarity_unary(none, none, threshold=0.5)
    assert torch.equal(result, torch.ones(1, 2, 3))


def test_summed_samples_are_the_sum_of_each_level_read_alone():
    levels = [torch.tensor([[[1.0, 3.0]]]), torch.tensor([[[10.0, 20.0, 40.0]]])]
    xs, ys = torch.tensor([8.0, 16.0, 24.0]), torch.tensor([8.0])
    # strides 16 and 8: cell centres at 8, 24 and at 4, 12, 20
    result = sample_sum(levels, [16, 8], xs, ys)
    torch.testing.assert_close(result, torch.tensor([[[1 + 15.0, 2 + 30.0, 3 + 40.0]]]))


def grid_positions(width):
    xs = torch.arange(width) + 0.5
    return torch.stack([xs, torch.full((width,), 0.5)])[:, None]  # (2, 1, W)


def test_a_class_is_divided_among_its_points_by_distance():
    probs = torch.tensor([0.1, 0.6, 0.3])[:, None, None].expand(3, 1, 4)
    points = torch.tensor([[0.5, 0.5], [3.5, 0.5], [1.5, 0.5]])
    labels = torch.tensor([0, 0, 1])
    result = class_unary(probs, labels, points, grid_positions(4), falloff=2.0)
    distances = torch.tensor([[0.0, 1, 2, 3], [3.0, 2, 1, 0]])
    shares = torch.softmax(-2 * distances, 0)
    torch.testing.assert_close(result[:2, 0], 0.6 * shares)
    torch.testing.assert_close(result[2, 0], torch.full((4,), 0.3))  # the only one of its class
    torch.testing.assert_close(result[3, 0], torch.full((4,), 0.1))


def test_what_the_prior_takes_goes_to_the_background():
    probs = torch.tensor([0.2, 0.8])[:, None, None].expand(2, 1, 3)
    prior = torch.tensor([1.0, 0.5, 0.0])[None, None]
    points, labels = torch.tensor([[0.5, 0.5]]), torch.tensor([0])
    result = class_unary(probs, labels, points, grid_positions(3), prior, falloff=1.0)
    torch.testing.assert_close(result[0, 0], torch.tensor([0.8, 0.4, 0.0]))
    torch.testing.assert_close(result[1, 0], torch.tensor([0.2, 0.6, 1.0]))


def test_geometric_mean_by_hand():
    first = torch.tensor([0.8, 0.2])[:, None, None]
    second = torch.tensor([0.2, 0.8])[:, None, None]
    torch.testing.assert_close(geometric_mean(first, second), torch.full((2, 1, 1), 0.5))
    torch.testing.assert_close(geometric_mean(first, first), first)
    certain = torch.tensor([0.0, 1.0])[:, None, None]
    torch.testing.assert_close(geometric_mean(first, certain), certain)


def test_points_that_are_not_trusted_have_the_other_scores():
    scores = torch.tensor([0.6, 0.3, 0.1])[:, None, None]
    others = torch.tensor([0.1, 0.5, 0.4])[:, None, None]
    for trusted in (True, False):
        mixed = replace_points(scores, others, torch.tensor([trusted, trusted]))
        assert torch.allclose(mixed, scores if trusted else others)
    mixed = replace_points(scores, others, torch.tensor([True, False]))
    share = (0.6 + 0.1) / (0.6 + 0.1 + 0.3 + 0.5)
    expected = torch.tensor([0.6, 0.5, share * 0.1 + (1 - share) * 0.4])
    assert torch.allclose(mixed[:, 0, 0], expected / expected.sum())
    assert torch.allclose(mixed.sum(0), torch.ones(1, 1))
