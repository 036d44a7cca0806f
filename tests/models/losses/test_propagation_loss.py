import pytest
import torch
import torch.nn.functional as F

from mmp2seg.ops.affinity.local import local_propagation
from mmp2seg.registry import MODELS


def _loss(**options):
    return MODELS.build(dict(type='mmp2seg.PropagationLoss', **options))


def _batch(*, seed=0, grid=(4, 6), scale=1):
    """Two images of three values, whose maps are constant in each cell."""
    generator = torch.Generator().manual_seed(seed)
    size = (scale * grid[0], scale * grid[1])

    def enlarged(maps):
        return F.interpolate(maps[None].double(), size=size, mode='nearest')[0].to(maps.dtype)

    return dict(
        embedding=torch.randn(2, 5, *grid, generator=generator, requires_grad=True),
        instance_maps=enlarged(torch.randint(0, 3, (4, *grid), generator=generator)).view(
            2, 2, *size
        ),
        semantic_logits=enlarged(torch.randn(6, *grid, generator=generator)).view(2, 3, *size),
        semantic_targets=[
            enlarged(torch.randint(0, 3, (2, *grid), generator=generator)) for _ in range(2)
        ],
    )


@pytest.mark.parametrize('scale', [1, 4])
def test_it_is_the_cross_entropy_of_the_propagated_scores(scale):
    batch, small = _batch(scale=scale), _batch()
    scores = local_propagation(
        small['embedding'], small['semantic_logits'].softmax(1), radius=2, beta=2
    )
    expected = torch.stack(
        [F.nll_loss(scores.log(), target) for target in small['semantic_targets']]
    )
    got = _loss(radius=2, beta=2.0, loss_weight=0.5)(**batch)
    assert torch.allclose(got, 0.5 * expected.mean())


def test_ignored_pixels_of_each_target_are_left_out():
    batch = _batch()
    batch['instance_maps'][0, 1, :2] = -1
    batch['semantic_targets'][0][1, 3] = 255
    expected = _loss()(**batch)
    batch['semantic_targets'][1][0, :2] = 2 - batch['semantic_targets'][1][0, :2]
    assert torch.equal(_loss()(**batch), expected)
    batch['semantic_targets'][0][0, :2] = 2 - batch['semantic_targets'][0][0, :2]
    assert not torch.equal(_loss()(**batch), expected)


def test_padding_propagates_nothing():
    batch = _batch()
    for target in batch['semantic_targets']:
        target[:, :, 4:] = 255
    expected = _loss()(**batch)
    batch['semantic_logits'][..., 4:] *= -3
    assert torch.allclose(_loss()(**batch), expected)


def test_an_image_counts_as_much_as_one_with_more_labels():
    batch = _batch()
    batch['semantic_targets'] = batch['semantic_targets'][:1]
    whole = _loss()(**batch)
    first = {name: maps[:1] for name, maps in batch.items() if name != 'semantic_targets'}
    second = {name: maps[1:] for name, maps in batch.items() if name != 'semantic_targets'}
    batch['instance_maps'][0, 0, 1:] = -1
    targets = batch['semantic_targets'][0]
    parts = [
        _loss()(**first, semantic_targets=[targets[:1]]),
        _loss()(**second, semantic_targets=[targets[1:]]),
    ]
    assert torch.allclose(_loss()(**batch), torch.stack(parts).mean())
    assert not torch.allclose(_loss()(**batch), whole)


def test_only_the_embedding_gets_a_gradient_and_none_without_labels():
    batch = _batch()
    batch['semantic_logits'].requires_grad_()
    _loss()(**batch).backward()
    assert batch['embedding'].grad.any()
    assert batch['semantic_logits'].grad is None

    batch['embedding'].grad = None
    for target in batch['semantic_targets']:
        target[:] = 255
    loss = _loss()(**batch)
    loss.backward()
    assert loss == 0
    assert not batch['embedding'].grad.any()


@pytest.mark.parametrize(
    ('options', 'message'), [(dict(radius=0.5), 'radius >= 1'), (dict(beta=0.0), 'beta > 0')]
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        _loss(**options)
