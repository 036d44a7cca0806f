import pytest
import torch

from mmp2seg.registry import MODELS

PARTS = dict(
    loss_semantic=dict(type='mmp2seg.HardPixelCrossEntropyLoss', ratio=1.0),
    loss_offset=dict(type='mmp2seg.OffsetLoss', beta=0, loss_weight=1.0),
    loss_affinity=dict(type='mmp2seg.AffinityLoss'),
)


def _batch(*, seed=0):
    generator = torch.Generator().manual_seed(seed)
    size = (6, 8)
    return dict(
        semantic_logits=torch.randn(2, 3, *size, generator=generator, requires_grad=True),
        semantic_targets=[torch.randint(0, 3, (2, *size), generator=generator)],
        offset=torch.zeros(2, 2, *size, requires_grad=True),
        offset_targets=[(torch.ones(2, 2, *size), torch.ones(2, *size))],
        embedding=torch.randn(2, 4, 3, 4, generator=generator, requires_grad=True),
        instance_maps=torch.randint(0, 3, (2, 1, *size), generator=generator),
    )


def _losses(batch, **options):
    return MODELS.build({'type': 'mmp2seg.MDMLoss', **PARTS, **options})(**batch)


def test_lambdas_weigh_their_halves():
    plain, weighted = _losses(_batch()), _losses(_batch(), lambda_s2i=2.0, lambda_i2s=0.5)
    assert plain.keys() == {'loss_semantic', 'loss_offset', 'loss_affinity'}
    assert torch.allclose(weighted['loss_semantic'], 2 * plain['loss_semantic'])
    assert torch.allclose(weighted['loss_offset'], 2 * plain['loss_offset'])
    assert torch.allclose(weighted['loss_affinity'], 0.5 * plain['loss_affinity'])


def test_each_part_is_the_mean_over_its_targets():
    batch = _batch()
    assert _losses(batch)['loss_offset'].item() == 2  # |1| summed over dx and dy
    target, weight = batch['offset_targets'][0]
    batch['offset_targets'].append((3 * target, weight))
    assert _losses(batch)['loss_offset'].item() == 4

    single = _losses(batch)['loss_semantic']
    other = batch | dict(semantic_targets=[2 - batch['semantic_targets'][0]])
    both = batch | dict(semantic_targets=batch['semantic_targets'] + other['semantic_targets'])
    mean = (single + _losses(other)['loss_semantic']) / 2
    assert torch.allclose(_losses(both)['loss_semantic'], mean)


def test_gradients_reach_all_three_maps():
    batch = _batch()
    sum(_losses(batch).values()).backward()
    assert all(batch[name].grad.any() for name in ('semantic_logits', 'offset', 'embedding'))


def test_without_an_embedding_there_is_no_affinity_loss():
    batch = _batch() | dict(embedding=None, instance_maps=None)
    assert _losses(batch).keys() == {'loss_semantic', 'loss_offset'}


def _hard(ratio):
    return dict(type='mmp2seg.HardPixelCrossEntropyLoss', ratio=ratio)


def test_the_old_place_of_the_hard_pixel_ratio_still_works_and_warns():
    with pytest.warns(DeprecationWarning, match=r'write mdm_loss\.loss_semantic\.ratio'):
        old = _losses(_batch(), hard_pixel_ratio=0.1)['loss_semantic']
    assert torch.equal(old, _losses(_batch(), loss_semantic=_hard(0.1))['loss_semantic'])


@pytest.mark.parametrize('ratio', [0.0, 1.5])
def test_a_wrong_ratio_is_an_error(ratio):
    with pytest.raises(ValueError, match=f'ratio.*got {ratio}'):
        _losses(_batch(), loss_semantic=_hard(ratio))


def test_a_whole_mmdet_loss_fits_as_a_part():
    part = dict(type='mmdet.CrossEntropyLoss', ignore_index=255)
    loss = _losses(_batch(), loss_semantic=part)['loss_semantic']
    assert torch.allclose(loss, _losses(_batch())['loss_semantic'])


def test_an_affinity_loss_of_scores_gets_them():
    batch, options = _batch(), dict(type='mmp2seg.PropagationLoss', radius=1)
    expected = MODELS.build(options)(
        *(batch[name] for name in ('embedding', 'instance_maps')),
        **{name: batch[name] for name in ('semantic_logits', 'semantic_targets')},
    )
    got = _losses(batch, loss_affinity=options, lambda_i2s=0.5)['loss_affinity']
    assert torch.allclose(got, 0.5 * expected)
    assert got.requires_grad
