import math

import pytest
import torch

from mmp2seg.ops.coords import pixel_centers
from mmp2seg.ops.instance_scores import (
    best_instances,
    class_scores,
    fix_clicks,
    instance_scores,
    near_points,
    with_click_affinities,
)


def _case(num_points=5, num_values=3, size=(6, 9), seed=0):
    """Random probabilities and landings; the channels of the points are 1..num_values - 1."""
    draw = torch.Generator().manual_seed(seed)
    probs = torch.rand(num_values, *size, generator=draw)
    landing = pixel_centers(*size) + torch.randn(2, *size, generator=draw)
    points = torch.rand(num_points, 2, generator=draw) * torch.tensor([size[1], size[0]])
    channels = torch.randint(1, num_values, (num_points,), generator=draw)
    return probs, landing, points, channels


def test_a_class_is_divided_by_the_distance():
    probs = torch.tensor([0.4, 0.6])[:, None, None]
    landing = torch.tensor([2.0, 0.0])[:, None, None]
    points = torch.tensor([[0.0, 0.0], [3.0, 0.0]])
    scores = instance_scores(probs, landing, points, torch.tensor([1, 1]), sigma=1.5)
    near, far = math.exp(-1 / 4.5), math.exp(-4 / 4.5)
    expected = [0.6 * far / (near + far), 0.6 * near / (near + far), 0.4]
    assert scores.flatten().tolist() == pytest.approx(expected)


def test_it_equals_loops_over_pixels():
    probs, landing, points, channels = _case()
    scores = instance_scores(probs, landing, points, channels, sigma=2.0)
    for row in range(6):
        for column in range(9):
            squared = (landing[:, row, column] - points).square().sum(1)
            weights = (-squared / 8).exp()
            for n, channel in enumerate(channels.tolist()):
                share = weights[n] / weights[channels == channel].sum()
                expected = share * probs[channel, row, column]
                assert scores[n, row, column].item() == pytest.approx(expected.item(), abs=1e-6)


def test_sums_per_class_are_the_semantic_scores():
    probs, landing, points, channels = _case(num_values=4)
    channels[:3] = torch.tensor([1, 2, 3])
    scores = instance_scores(probs, landing, points, channels, sigma=0.5)
    assert torch.allclose(class_scores(scores, channels, 4), probs, atol=1e-6)


def test_a_class_without_points_is_left_out():
    probs, landing, points, _ = _case()
    scores = instance_scores(probs, landing, points, torch.ones(5, dtype=torch.int64), sigma=1.0)
    assert torch.allclose(scores.sum(0), probs[0] + probs[1])


def test_far_landings_do_not_underflow():
    landing = torch.full((2, 1, 1), 5000.0)
    points = torch.tensor([[0.0, 0.0], [0.0, 1.0]])
    scores = instance_scores(torch.ones(2, 1, 1), landing, points, torch.tensor([1, 1]), sigma=1.0)
    assert scores.flatten().tolist() == [0, 1, 1]


def test_without_points_there_is_background():
    probs, landing, _, _ = _case(num_points=0)
    probs = probs[:1]
    empty = torch.zeros(0, dtype=torch.int64)
    near = near_points(landing, torch.zeros(0, 2), empty, sigma=1.0, negligible=0.1)
    assert near.shape == (0,) and near.dtype == torch.bool
    scores = instance_scores(probs, landing, torch.zeros(0, 2), empty, sigma=1.0)
    assert torch.equal(scores, probs)
    fixed, where = fix_clicks(scores, torch.zeros(0, 2), radius=2.0)
    assert torch.equal(fixed, scores) and not where.any()
    instance_map, channel, best = best_instances(scores, empty, 1)
    assert not instance_map.any() and not channel.any() and torch.equal(best, probs[0])


def test_the_order_of_the_points_is_that_of_the_scores():
    probs, landing, points, channels = _case()
    order = torch.tensor([3, 1, 4, 0, 2])
    scores = instance_scores(probs, landing, points, channels, sigma=1.0)
    permuted = instance_scores(probs, landing, points[order], channels[order], sigma=1.0)
    assert torch.allclose(permuted[:-1], scores[:-1][order], atol=1e-6)


def test_only_negligible_points_are_left_out():
    probs, landing, points, channels = _case(num_points=40, size=(4, 5), seed=3)
    points = points * 6 - 10
    scores = instance_scores(probs, landing, points, channels, sigma=1.0)
    near = near_points(landing, points, channels, sigma=1.0, negligible=1e-3)
    assert 0 < near.sum() < 40
    shares = scores[:-1] / probs[channels]
    assert shares[~near].max() < 1e-3
    nearest = [(points - xy).square().sum(1).argmin() for xy in landing.flatten(1).T]
    assert all(near[index] for index in nearest)


def test_clicks_own_a_disc_and_their_pixel():
    scores = torch.full((3, 3, 6), 1 / 3)
    points = torch.tensor([[0.9, 0.1], [4.5, 1.5]])
    fixed_scores, fixed = fix_clicks(scores, points, radius=1.0)
    # the first is .57 from its pixel's centre and .72 from that of the next one
    assert fixed.long().tolist() == [[1, 1, 0, 0, 1, 0], [0, 0, 0, 1, 1, 1], [0, 0, 0, 0, 1, 0]]
    assert fixed_scores[:, 0, 0].tolist() == [1, 0, 0]
    assert fixed_scores[:, 1, 3].tolist() == [0, 1, 0]
    assert torch.equal(fixed_scores[:, ~fixed], scores[:, ~fixed])
    _, own = fix_clicks(scores, points, radius=0.0)
    assert own.nonzero().tolist() == [[0, 0], [1, 4]]


def test_a_pixel_near_two_clicks_belongs_to_the_nearest():
    scores = torch.zeros(4, 1, 7)
    points = torch.tensor([[2.5, 0.5], [4.5, 0.5], [4.6, 0.5]])
    fixed_scores, _ = fix_clicks(scores, points, radius=3.0)
    owners = fixed_scores.argmax(0)[0].tolist()
    assert owners == [0, 0, 0, 0, 1, 2, 2]  # pixel 3 is as near to the first as to the second
    # a click keeps its own pixel though another click is nearer to that pixel's centre
    corner = torch.tensor([[2.99, 0.5], [3.01, 0.5]])
    fixed_scores, _ = fix_clicks(torch.zeros(3, 1, 7), corner, radius=3.0)
    assert fixed_scores.argmax(0)[0, 2:4].tolist() == [0, 1]


def test_clicks_outside_the_frame_reach_into_it():
    scores = torch.zeros(2, 2, 3)
    _, fixed = fix_clicks(scores, torch.tensor([[-0.5, 0.5]]), radius=2.0)
    assert fixed.long().tolist() == [[1, 1, 0], [1, 0, 0]]
    assert not fix_clicks(scores, torch.tensor([[-9.0, 0.5]]), radius=2.0)[1].any()


def test_the_class_is_decided_before_the_instance():
    """Two points of class 1 share .6, one of class 2 has .4: class 1 wins."""
    scores = torch.tensor([0.3, 0.25, 0.4, 0.05])[:, None, None]
    instance_map, channel, best = best_instances(scores, torch.tensor([1, 1, 2]), 3)
    assert (instance_map.item(), channel.item()) == (1, 1)
    assert best.item() == pytest.approx(0.55)
    scores = torch.tensor([0.3, 0.0, 0.0, 0.7])[:, None, None]
    assert best_instances(scores, torch.tensor([1, 1, 2]), 3)[0].item() == 0


def test_affinities_of_the_clicks_are_a_factor():
    scores = torch.tensor([0.2, 0.1, 0.7])[:, None, None]
    affinities = torch.tensor([0.9, 0.5])[:, None, None]
    background = 0.1 * 0.5
    likeness = torch.tensor([0.95 * 0.9 / 1.4, 0.95 * 0.5 / 1.4, background])
    for weight in (0.0, 0.3, 1.0):
        expected = scores[:, 0, 0] ** (1 - weight) * likeness**weight
        found = with_click_affinities(scores, affinities, weight=weight)[:, 0, 0]
        assert torch.allclose(found, expected / expected.sum(), atol=1e-5)


def test_a_click_in_the_background_keeps_what_is_like_it():
    scores = torch.tensor([0.02, 0.98])[:, None, None]
    for affinity, winner in ((1.0, 0), (0.0, 1)):
        like = torch.full((1, 1, 1), affinity)
        found = with_click_affinities(scores, like, weight=0.5)
        assert found.isfinite().all() and found.argmax(0).item() == winner


def test_without_clicks_all_is_background():
    found = with_click_affinities(torch.rand(1, 2, 3), torch.zeros(0, 2, 3), weight=0.3)
    assert torch.equal(found, torch.ones(1, 2, 3))


@pytest.mark.parametrize(('negligible', 'expected'), [(0.1, True), (0.2, False)])
def test_a_point_with_a_share_that_matters_stays(negligible, expected):
    """At the first point, the second one has the share e^-2 / (1 + e^-2) = .119."""
    landing, points = torch.zeros(2, 1, 1), torch.tensor([[0.0, 0.0], [2.0, 0.0]])
    near = near_points(landing, points, torch.tensor([1, 1]), sigma=1.0, negligible=negligible)
    assert near.tolist() == [True, expected]


def test_a_batch_is_its_images():
    """Of 0, 3 and 5 points; padding lies far outside and has channel 0."""
    cases = [_case(number, seed=number) for number in (5, 3, 0)]
    maps, landing = (torch.stack([case[index] for case in cases]) for index in (0, 1))
    points = torch.full((3, 5, 2), -1e6)
    channels = torch.zeros(3, 5, dtype=torch.int64)
    for index, (*_, of_image, of_points) in enumerate(cases):
        points[index, : len(of_image)], channels[index, : len(of_image)] = of_image, of_points
    scores = instance_scores(maps, landing, points, channels, sigma=2.0)
    fixed_scores, fixed = fix_clicks(scores, points, radius=1.5)
    sums = class_scores(fixed_scores, channels, 3)
    best = best_instances(fixed_scores, channels, 3)
    for index, (probs, lands, of_image, of_points) in enumerate(cases):
        kept = [*range(len(of_image)), 5]
        expected = instance_scores(probs, lands, of_image, of_points, sigma=2.0)
        torch.testing.assert_close(scores[index, kept], expected)
        expected, expected_fixed = fix_clicks(expected, of_image, radius=1.5)
        torch.testing.assert_close(fixed_scores[index, kept], expected)
        assert torch.equal(fixed[index], expected_fixed)
        assert not fixed_scores[index, len(of_image) : 5].any()
        torch.testing.assert_close(sums[index], class_scores(expected, of_points, 3))
        for one, alone in zip(best, best_instances(expected, of_points, 3)):
            torch.testing.assert_close(one[index], alone)
