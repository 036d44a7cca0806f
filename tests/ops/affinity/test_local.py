import pytest
import torch

from mmp2seg.ops.affinity import propagate
from mmp2seg.ops.affinity.local import local_propagation


def _maps(*, seed=0, size=(5, 7), dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    embedding = torch.randn(2, 4, *size, generator=generator, dtype=dtype)
    return embedding, torch.rand(2, 3, *size, generator=generator, dtype=dtype)


@pytest.mark.parametrize(
    ('radius', 'beta', 'size'),
    [(0, 1.0, (5, 7)), (1, 1.0, (5, 7)), (2.5, 2.0, (5, 7)), (3, 0.5, (1, 9)), (99, 1.0, (4, 2))],
)
def test_it_equals_the_propagation_over_all_pairs_with_this_radius(radius, beta, size):
    embedding, scores = _maps(size=size)
    valid = torch.rand(2, *size, generator=torch.Generator().manual_seed(1)) > 0.3
    for mask in (None, valid):
        expected = propagate(embedding, scores, radius=radius, beta=beta, valid=mask)
        got = local_propagation(embedding, scores, radius=radius, beta=beta, valid=mask)
        assert torch.allclose(got, expected)


def test_gradients_are_those_of_finite_differences():
    embedding, scores = (maps[:1, :2].clone() for maps in _maps(size=(3, 4)))
    assert torch.autograd.gradcheck(
        lambda *maps: local_propagation(*maps, radius=1.5, beta=1.5),
        (embedding.requires_grad_(), scores.requires_grad_()),
    )


def test_constant_maps_stay_constant_also_in_low_precision():
    embedding, _ = _maps(dtype=torch.bfloat16)
    scores = torch.full((2, 1, 5, 7), 0.375, dtype=torch.bfloat16)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        got = local_propagation(embedding, scores, radius=2)
    assert got.dtype == torch.float32
    assert torch.allclose(got, torch.tensor(0.375))


def test_what_is_not_valid_has_no_influence_and_no_gradient():
    embedding, scores = _maps()
    valid = torch.ones(2, 5, 7, dtype=torch.bool)
    valid[:, :, 4:] = False
    embedding.requires_grad_()
    got = local_propagation(embedding, scores, radius=3, valid=valid)
    (gradient,) = torch.autograd.grad(got[..., :4].square().sum(), embedding)
    assert gradient[..., :4].any()
    assert not gradient[..., 4:].any()


@pytest.mark.parametrize(
    ('options', 'message'),
    [(dict(radius=-1), 'radius >= 0'), (dict(radius=1, beta=0.0), 'beta > 0')],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        local_propagation(*_maps(), **options)


def test_grids_must_agree():
    embedding, scores = _maps()
    with pytest.raises(ValueError, match='grid of the embedding'):
        local_propagation(embedding, scores[..., :-1], radius=1)
