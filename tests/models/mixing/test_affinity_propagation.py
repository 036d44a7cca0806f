import pytest
import torch
from mmengine.registry import DefaultScope

from mmp2seg.models.mixing import AffinityPropagation
from mmp2seg.ops.affinity import propagate
from mmp2seg.registry import MODELS


@pytest.fixture
def maps():
    torch.manual_seed(0)
    return torch.randn(2, 3, 4, 5), torch.rand(2, 6, 4, 5).softmax(dim=1)


@pytest.mark.parametrize('scope', ['mmdet', 'mmseg', 'mmp2seg'])
def test_it_is_the_function_some_times(maps, scope):
    embedding, scores = maps
    options = dict(beta=2.0, threshold=0.3, radius=3)
    with DefaultScope.overwrite_default_scope(scope):
        layer = MODELS.build(dict(type='mmp2seg.AffinityPropagation', rounds=2, **options))
    valid = torch.ones(2, 4, 5, dtype=torch.bool)
    valid[1, :, 3:] = False
    expected = propagate(embedding, scores, valid=valid, **options)
    expected = propagate(embedding, expected, valid=valid, **options)
    assert torch.equal(layer(embedding, scores, valid), expected)
    assert list(layer.parameters()) == []
    assert 'rounds=2, beta=2.0, threshold=0.3, radius=3' in repr(layer)


def test_no_round_returns_the_scores(maps):
    embedding, scores = maps
    assert AffinityPropagation(rounds=0)(embedding, scores) is scores


@pytest.mark.parametrize('options', [dict(rounds=-1), dict(beta=0.0)])
def test_wrong_arguments(options):
    with pytest.raises(ValueError, match=f'expected {next(iter(options))}'):
        AffinityPropagation(**options)
