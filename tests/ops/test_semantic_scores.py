import pytest
import torch
import torch.nn.functional as F

from mmp2seg.ops.semantic_scores import (
    add_coarse_change,
    argmax_map,
    image_values,
    map_shares,
    resize_scores,
    value_probs,
)

SCORES = torch.tensor([[[0.2, 0.1, 0.5]], [[0.3, 0.1, 0.2]], [[0.1, 0.6, 0.2]], [[0.4, 0.2, 0.1]]])


def test_values_are_background_and_the_classes_of_the_points():
    assert image_values(torch.tensor([4, 1, 4])).tolist() == [0, 2, 5]
    assert image_values(torch.zeros(0, dtype=torch.int64)).tolist() == [0]


@pytest.mark.parametrize('align_corners', [False, True])
@pytest.mark.parametrize('chunk', [1, 3, 100])
def test_probabilities_are_the_softmax_over_all_classes(chunk, align_corners):
    logits = 4 * torch.randn(2, 9, 5, 6, generator=torch.Generator().manual_seed(0))
    values = torch.tensor([0, 3, 8])
    expected = F.interpolate(logits, (17, 24), mode='bilinear', align_corners=align_corners)
    expected = expected.softmax(dim=1)[:, values]
    probs = value_probs(logits, values, (17, 24), align_corners=align_corners, chunk=chunk)
    torch.testing.assert_close(probs, expected, atol=1e-6, rtol=1e-5)
    assert probs.min() >= 0


def test_probabilities_of_half_precision_are_float32():
    logits = torch.randn(1, 4, 3, 3).half()
    probs = value_probs(logits, torch.arange(4), (3, 3))
    assert torch.equal(probs, logits.float().softmax(dim=1))


def test_memory_grows_with_the_values_and_not_with_the_classes():
    """No tensor of all classes at full size is made."""
    sizes = []

    class Meter(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            result = func(*args, **(kwargs or {}))
            sizes.extend(t.numel() for t in (result,) if isinstance(t, torch.Tensor))
            return result

    with Meter():
        value_probs(torch.randn(1, 201, 4, 4), torch.tensor([0, 7]), (64, 64), chunk=8)
    assert max(sizes) <= 8 * 64 * 64


def test_shares_of_a_cells_labelled_pixels():
    semantic_map = torch.tensor([[[1, 1, 0, 0], [1, 2, 255, 255]]])
    values = torch.tensor([0, 1])
    shares = map_shares(semantic_map, values, semantic_map == 255, (1, 2))
    assert shares.tolist() == [[[[0.0, 1.0]], [[0.75, 0.0]]]]  # class 1 is not asked for
    at_full_size = map_shares(semantic_map, values, semantic_map == 255, (2, 4))
    assert torch.equal(at_full_size[0, 1], (semantic_map[0] == 1).float())


def test_a_cell_without_labelled_pixels_has_no_share():
    semantic_map = torch.full((1, 2, 2), 255)
    shares = map_shares(semantic_map, torch.tensor([0, 1]), semantic_map == 255, (1, 1))
    assert not shares.any()


def test_a_coarse_change_keeps_the_resolution():
    probs = torch.rand(1, 2, 8, 8)
    before = torch.rand(1, 2, 2, 2)
    assert torch.equal(add_coarse_change(probs, before, before), probs)
    changed = add_coarse_change(probs, before, before + 0.25)
    torch.testing.assert_close(changed, probs + 0.25)


def test_resizing_to_the_same_size_is_nothing():
    values = torch.rand(1, 2, 3, 4)
    assert resize_scores(values, (3, 4), align_corners=True) is values


def test_argmax_gives_values_and_their_scores():
    semantic_map, best = argmax_map(SCORES[[0, 1, 3]], torch.tensor([0, 1, 3]))
    assert semantic_map.tolist() == [[3, 3, 0]]
    assert torch.equal(best, torch.tensor([[0.4, 0.2, 0.5]]))
    assert semantic_map.dtype == torch.int64


def test_of_equal_scores_the_lowest_value_counts():
    semantic_map, _ = argmax_map(SCORES[:2], torch.tensor([0, 1]))
    assert semantic_map[0, 1] == 0


def test_no_classes_and_half_precision():
    semantic_map, best = argmax_map(SCORES[:1].half(), torch.tensor([0]))
    assert not semantic_map.any()
    assert torch.equal(best, SCORES[0].half().float())


@pytest.mark.parametrize('chunk', [3, 100])
def test_values_of_each_image_of_a_batch(chunk):
    logits = torch.randn(2, 9, 5, 6, generator=torch.Generator().manual_seed(0))
    values = torch.tensor([[0, 3, 8], [0, 5, -1]])
    probs = value_probs(logits, values, (10, 12), chunk=chunk)
    semantic_map = torch.tensor([[[0, 3, 5]], [[5, 255, 3]]])
    shares = map_shares(semantic_map, values, semantic_map == 255, (1, 3))
    for index, known in enumerate((values[0], values[1, :2])):
        alone = value_probs(logits[index : index + 1], known, (10, 12), chunk=chunk)[0]
        torch.testing.assert_close(probs[index, : len(known)], alone)
        one = semantic_map[index : index + 1]
        expected = map_shares(one, known, one == 255, (1, 3))[0]
        assert torch.equal(shares[index, : len(known)], expected)
    assert not probs[1, 2].any() and not shares[1, 2].any()
