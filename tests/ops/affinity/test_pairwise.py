"""The streamed affinity against a dense N x N reference."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mmp2seg.ops.affinity.pairwise import pair_loss, propagate


def dense_pair_loss(embedding, instance_maps, background='ignore'):
    """L_I2S of one image and one map, ``(D, h, w)`` and ``(h, w)``, as written in the paper."""
    rows, ids = embedding.flatten(1).T, instance_maps.flatten()
    if background == 'instance':
        ids = torch.where(ids >= 0, ids + 1, ids)
    affinity = (rows @ rows.T).sigmoid()
    one, other = ids[:, None], ids[None]
    valid = (one >= 0) & (other >= 0) & ((one > 0) | (other > 0))
    if background == 'ignore':
        valid = (one > 0) & (other > 0)
    same, different = valid & (one == other), [valid & (one != other)]
    if background == 'separate':
        mixed = (one == 0) | (other == 0)
        different = [different[0] & ~mixed, different[0] & mixed]
    loss = (0 * embedding).sum()
    if same.any():
        loss = loss + (1 - affinity[same]).mean()
    for side in different:
        if side.any():
            loss = loss + affinity[side].mean()
    return loss


def dense_propagate(embedding, scores, beta=1.0, threshold=0.0, radius=None):
    rows = embedding.flatten(1).T
    affinity = (rows @ rows.T).sigmoid()
    if radius is not None:
        grid = torch.cartesian_prod(*map(torch.arange, embedding.shape[1:])).float()
        affinity = affinity * (torch.cdist(grid, grid) <= radius)
    keep = (affinity >= threshold) | torch.eye(len(rows), dtype=torch.bool)
    affinity = (affinity * keep) ** beta
    affinity = affinity / affinity.sum(dim=1, keepdim=True)
    return (affinity @ scores.flatten(1).T).T.reshape(scores.shape)


def _scene(*, batch=2, maps=2, channels=6, size=(7, 9), dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    embedding = torch.randn(batch, channels, *size, generator=generator, dtype=dtype)
    instance_maps = torch.randint(-1, 5, (batch, maps, *size), generator=generator)
    return embedding.requires_grad_(), instance_maps


class LargestTensor(TorchDispatchMode):
    """Record the number of elements of the largest tensor that is created."""

    numel = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        sizes = [leaf.numel() for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor)]
        self.numel = max([self.numel, *sizes])
        return result


class TestPairLoss:
    @pytest.mark.parametrize('background', ['ignore', 'different', 'separate', 'instance'])
    @pytest.mark.parametrize('block_size', [1, 10, 64, None])
    def test_value_and_gradient_are_the_dense_ones(self, background, block_size):
        embedding, maps = _scene()
        loss = pair_loss(embedding, maps, background=background, block_size=block_size)
        expected = torch.stack(
            [
                sum(dense_pair_loss(image, one, background) for one in image_maps) / 2
                for image, image_maps in zip(embedding, maps)
            ]
        )
        assert torch.allclose(loss, expected, rtol=1e-5)
        upstream = torch.tensor([1.0, -2.0])
        (gradient,) = torch.autograd.grad(loss @ upstream, embedding)
        (dense,) = torch.autograd.grad(expected @ upstream, embedding)
        assert (gradient - dense).norm() < 1e-5 * dense.norm()

    @pytest.mark.parametrize('background', ['ignore', 'different', 'separate', 'instance'])
    def test_gradcheck(self, background):
        embedding, maps = _scene(size=(3, 4), channels=3, dtype=torch.float64)
        torch.autograd.gradcheck(
            lambda values: pair_loss(values, maps, background=background, block_size=5), embedding
        )

    def test_a_batch_of_two_is_two_batches_of_one(self):
        embedding, maps = _scene()
        singles = [pair_loss(embedding[i : i + 1], maps[i : i + 1]) for i in (0, 1)]
        assert torch.equal(pair_loss(embedding, maps), torch.cat(singles))

    def test_the_numbering_of_instances_does_not_matter(self):
        embedding, maps = _scene()
        renamed = torch.where(maps > 0, 300 - 7 * maps, maps)
        assert torch.allclose(pair_loss(embedding, renamed), pair_loss(embedding, maps), rtol=1e-6)

    def test_two_touching_objects_of_a_class_are_different(self):
        # One region, two instances, with embeddings that do or do not separate them.
        maps = torch.tensor([[[[1, 1, 2, 2]]]])
        apart = torch.tensor([[[[9.0, 9, -9, -9]]]])
        assert pair_loss(apart, maps).item() == pytest.approx(0, abs=1e-6)
        assert pair_loss(apart.abs(), maps).item() == pytest.approx(1)

    def test_every_instance_of_a_refined_map_counts(self):
        embedding, _ = _scene(batch=1)
        maps = torch.zeros(1, 1, 7, 9, dtype=torch.int32)
        for index in range(4):
            maps[..., 2 * index : 2 * index + 2] = index + 1
        without_first = torch.where(maps == 1, -1, maps)
        assert not torch.allclose(pair_loss(embedding, maps), pair_loss(embedding, without_first))

    def test_background_and_ignored_pixels_are_left_out_by_default(self):
        embedding, maps = _scene(maps=1)
        left_out = maps[:, 0] <= 0
        moved = embedding.detach() + 5 * left_out[:, None]
        assert torch.allclose(pair_loss(moved, maps), pair_loss(embedding, maps))
        (gradient,) = torch.autograd.grad(pair_loss(embedding, maps).sum(), embedding)
        assert not gradient.transpose(0, 1)[:, left_out].any()

    def test_ignored_pixels_can_be_background(self):
        embedding, maps = _scene()
        loss = pair_loss(embedding, maps, background='different', ignored_as_background=True)
        expected = pair_loss(embedding, maps.clamp(min=0), background='different')
        assert torch.equal(loss, expected)

    def test_one_sigmoid_on_logits_has_no_floor(self):
        maps = torch.tensor([[[[1, 2]]]])
        embedding = torch.tensor([[[[6.0, -6.0]]]], requires_grad=True)
        assert pair_loss(embedding, maps).item() < 1e-6

    @pytest.mark.parametrize('code', [0, -1])
    def test_maps_without_instances_give_a_zero_with_a_graph(self, code):
        embedding, maps = _scene()
        loss = pair_loss(embedding, torch.full_like(maps, code))
        loss.sum().backward()
        assert loss.tolist() == [0, 0]
        assert not embedding.grad.any()

    def test_sums_are_float32_under_autocast(self):
        embedding, maps = _scene()
        with torch.autocast('cpu', dtype=torch.bfloat16):
            loss = pair_loss(embedding, maps)
        assert torch.equal(loss, pair_loss(embedding, maps))
        half = embedding.detach().bfloat16().requires_grad_()
        with torch.autocast('cpu', dtype=torch.bfloat16):
            loss = pair_loss(half, maps)
        loss.sum().backward()
        assert loss.dtype == torch.float32 and half.grad.dtype == torch.bfloat16
        assert torch.allclose(loss, pair_loss(half.float(), maps))

    def test_nothing_is_as_large_as_all_pairs(self):
        embedding, maps = _scene(batch=1, size=(40, 50))
        with LargestTensor() as largest:
            pair_loss(embedding, maps, background='different', block_size=64).sum().backward()
        assert largest.numel <= 2 * 2000 * 6 < 2000**2  # two maps' codes, or the embedding

    def test_map_weights(self):
        embedding, maps = _scene()
        loss = pair_loss(embedding, maps, map_weights=torch.tensor([0.25, 0.0]))
        assert torch.allclose(loss, 0.25 * pair_loss(embedding, maps[:, :1]))

    def test_errors_name_what_was_expected(self):
        embedding, maps = _scene()
        with pytest.raises(ValueError, match=r"background in .*'instance'.*got 'no'"):
            pair_loss(embedding, maps, background='no')
        with pytest.raises(ValueError, match=r'got \(2, 2, 7, 8\) for \(2, 6, 7, 9\)'):
            pair_loss(embedding, maps[..., :8])


class TestPropagate:
    @pytest.mark.parametrize('block_size', [1, 10, 64, None])
    @pytest.mark.parametrize(('beta', 'threshold'), [(1, 0), (2, 0), (2.5, 0.6), (4, 0.99)])
    def test_is_the_dense_one(self, block_size, beta, threshold):
        embedding, _ = _scene()
        scores = torch.rand(2, 4, 7, 9, generator=torch.Generator().manual_seed(1))
        result = propagate(embedding, scores, beta=beta, threshold=threshold, block_size=block_size)
        for image, image_embedding, image_scores in zip(result, embedding, scores):
            expected = dense_propagate(image_embedding, image_scores, beta, threshold)
            assert torch.allclose(image, expected, rtol=1e-5)

    @pytest.mark.parametrize('block_size', [1, 10, 64, None])
    @pytest.mark.parametrize('radius', [0, 1, 2.5, 20])
    def test_within_a_radius_it_is_the_dense_one(self, block_size, radius):
        embedding, _ = _scene()
        scores = torch.rand(2, 4, 7, 9, generator=torch.Generator().manual_seed(1))
        result = propagate(embedding, scores, beta=2, radius=radius, block_size=block_size)
        for image, image_embedding, image_scores in zip(result, embedding, scores):
            expected = dense_propagate(image_embedding, image_scores, 2, radius=radius)
            assert torch.allclose(image, expected, rtol=1e-5)

    @pytest.mark.parametrize('beta', [0.5, 1, 3, 50])
    def test_a_constant_map_stays_constant_and_probabilities_stay_probabilities(self, beta):
        embedding, _ = _scene()
        constant = torch.full((2, 3, 7, 9), 0.3)
        assert torch.allclose(propagate(embedding, constant, beta=beta), constant)
        probs = torch.rand(2, 3, 7, 9).softmax(dim=1)
        sums = propagate(embedding, probs, beta=beta).sum(dim=1)
        assert torch.allclose(sums, torch.ones_like(sums))

    def test_a_batch_of_two_is_two_batches_of_one(self):
        embedding, _ = _scene()
        scores = torch.rand(2, 3, 7, 9)
        singles = [propagate(embedding[i : i + 1], scores[i : i + 1]) for i in (0, 1)]
        assert torch.equal(propagate(embedding, scores), torch.cat(singles))

    def test_nothing_is_as_large_as_all_pairs(self):
        embedding, _ = _scene(batch=1, size=(40, 50))
        with LargestTensor() as largest:
            propagate(embedding, torch.rand(1, 3, 40, 50), block_size=64)
        assert largest.numel <= 2000 * 6 < 2000**2

    def test_invalid_pixels_give_nothing(self):
        embedding, _ = _scene()
        scores = torch.rand(2, 3, 7, 9)
        valid = torch.ones(2, 7, 9, dtype=torch.bool)
        valid[..., 6:] = False
        cropped = propagate(embedding[..., :6], scores[..., :6])
        assert torch.allclose(propagate(embedding, scores, valid=valid)[..., :6], cropped)
        assert not propagate(embedding, scores, valid=torch.zeros_like(valid)).any()

    def test_background_takes_part(self):
        # Channel 0 is background: two similar pixels get their mean of it too.
        embedding = torch.tensor([[[[5.0, 5.0, -5.0]]]])
        scores = torch.tensor([[[[1.0, 0.0, 0.0]], [[0.0, 1.0, 1.0]]]])
        result = propagate(embedding, scores)
        assert torch.allclose(result[0, 0, 0], torch.tensor([0.5, 0.5, 0.0]), atol=1e-6)

    def test_errors_name_what_was_expected(self):
        embedding, _ = _scene()
        with pytest.raises(ValueError, match='beta > 0, got 0'):
            propagate(embedding, torch.rand(2, 3, 7, 9), beta=0)
        with pytest.raises(ValueError, match='grid of the embedding'):
            propagate(embedding, torch.rand(2, 3, 7, 8))
