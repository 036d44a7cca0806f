import pytest
import torch

from mmp2seg.models import SemanticHead, SemanticScorer

ALL = torch.arange(4)
SIZE = (6, 8)


def _maps(seed=0, grid=SIZE):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(1, 4, *SIZE, generator=generator)
    embedding = torch.randn(1, 5, *grid, generator=generator)
    weak_map = torch.randint(0, 4, (1, *SIZE), generator=generator)
    return logits, embedding, weak_map


def _score(scorer, logits, embedding, weak_map=None, *, values=ALL, ignored=None, **options):
    if ignored is None:
        ignored = torch.zeros(1, *logits.shape[-2:], dtype=torch.bool)
    return scorer(logits, embedding, values, ignored=ignored, weak_map=weak_map, **options)


@pytest.mark.parametrize('use_weak_map', [False, True])
@pytest.mark.parametrize('rounds', [0, 1, 2])
def test_scores_of_all_values_are_probabilities(rounds, use_weak_map):
    scorer = SemanticScorer(rounds=rounds, use_weak_map=use_weak_map, network_weight=0.5)
    scores = _score(scorer, *_maps())
    assert scores.shape == (1, 4, *SIZE)
    assert torch.allclose(scores.sum(dim=1), torch.ones(1, *SIZE))


@pytest.mark.parametrize('use_weak_map', [False, True])
@pytest.mark.parametrize('rounds', [0, 1])
def test_scores_of_some_values_are_those_of_all(rounds, use_weak_map):
    scorer = SemanticScorer(rounds=rounds, use_weak_map=use_weak_map, network_weight=0.3, beta=2)
    maps, some = _maps(), torch.tensor([0, 2])
    expected = _score(scorer, *maps)[:, some]
    torch.testing.assert_close(_score(scorer, *maps, values=some), expected)


@pytest.mark.parametrize('align_corners', [False, True])
@pytest.mark.parametrize('use_weak_map', [False, True])
def test_with_the_network_alone_they_are_the_heads_probabilities(align_corners, use_weak_map):
    """As in the released ResNet-101 networks, which upsample with aligned corners."""
    head = SemanticHead(num_classes=3, in_channels=2, channels=2, align_corners=align_corners)
    logits, weak_map = 5 * torch.randn(1, 4, 5, 7), torch.randint(0, 4, (1, 20, 28))
    scorer = SemanticScorer(use_weak_map=use_weak_map, network_weight=1.0)
    scores = _score(
        scorer,
        logits,
        None,
        weak_map,
        ignored=torch.zeros(1, 20, 28, dtype=torch.bool),
        align_corners=head.align_corners,
    )
    assert torch.equal(scores, head.predict_by_feat(logits, (20, 28)))


def test_plain_scores_are_the_networks_own():
    logits, embedding, weak_map = _maps()
    own = _score(SemanticScorer(), logits, embedding)
    for rounds in (0, 1):
        for use_weak_map in (False, True):
            for given in (None, weak_map):
                scorer = SemanticScorer(rounds=rounds, use_weak_map=use_weak_map)
                scores = _score(scorer, logits, embedding, given)
                assert scorer.is_plain(given) == torch.equal(scores, own)


@pytest.mark.parametrize('align_corners', [False, True])
def test_a_coarse_embedding_leaves_the_scores_their_resolution(align_corners):
    logits = torch.randn(1, 4, 8, 8)
    scorer = SemanticScorer(rounds=1, radius=0)  # a pixel alone keeps what it has
    scores = _score(scorer, logits, torch.ones(1, 2, 2, 2), align_corners=align_corners)
    assert torch.allclose(scores, logits.softmax(dim=1), atol=1e-6)


def test_aligned_corners_of_the_logits_do_not_move_the_weak_map():
    """Every cell of the embedding keeps its own value, so that nothing but resizing happens."""
    weak_map = torch.zeros(1, 32, 48, dtype=torch.int64)
    weak_map[:, :, 16:] = 2
    scorer = SemanticScorer(rounds=1, radius=0.5, use_weak_map=True)
    scores = [
        _score(
            scorer,
            torch.randn(1, 4, 8, 12),
            torch.ones(1, 2, 4, 6),
            weak_map,
            ignored=torch.zeros(1, 32, 48, dtype=torch.bool),
            align_corners=align_corners,
        )
        for align_corners in (False, True)
    ]
    assert torch.equal(*scores)
    changed = scores[1][0].argmax(dim=0) != weak_map[0]
    assert not changed.any()


def test_no_map_of_all_classes_is_made_at_full_size():
    sizes = []

    class Meter(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            result = func(*args, **(kwargs or {}))
            if isinstance(result, torch.Tensor):
                sizes.append(result.numel())
            return result

    logits, weak_map = torch.randn(1, 201, 4, 4), torch.randint(0, 201, (1, 64, 64))
    ignored = torch.zeros(1, 64, 64, dtype=torch.bool)
    scorer = SemanticScorer(use_weak_map=True, network_weight=0.5)
    with Meter():
        _score(scorer, logits, None, weak_map, values=torch.tensor([0, 7]), ignored=ignored)
    assert max(sizes) <= 32 * 64 * 64  # the logits' chunks


def test_rounds_spread_further_than_one():
    # A chain: pixel 0 is bound to 1 and 1 to 2, but 0 hardly to 2.
    embedding = torch.tensor([[[[2.0, 2.0, 0.0]], [[0.0, 2.0, 2.0]]]])
    logits = 99 * torch.tensor([[[[0.0, 0.0, 1.0]], [[1.0, 1.0, 0.0]]]])
    spread = [
        _score(SemanticScorer(rounds=rounds, beta=20.0), logits, embedding, values=torch.arange(2))
        for rounds in (1, 2)
    ]
    assert spread[0][0, 0, 0, 0] < 0.01 < spread[1][0, 0, 0, 0]


@pytest.mark.parametrize('network_weight', [0.0, 0.7])
@pytest.mark.parametrize('rounds', [0, 1])
def test_without_a_weak_map_the_network_alone_decides(rounds, network_weight):
    logits, embedding, _ = _maps()
    options = dict(rounds=rounds, network_weight=network_weight)
    expected = _score(SemanticScorer(**options), logits, embedding)
    scores = _score(SemanticScorer(use_weak_map=True, **options), logits, embedding)
    assert torch.equal(scores, expected)
    assert torch.allclose(scores.sum(dim=1), torch.ones(1, *SIZE))


@pytest.mark.parametrize('rounds', [0, 1])
def test_where_the_weak_map_knows_nothing_the_network_decides(rounds):
    logits, embedding, weak_map = _maps()
    weak_map[:, :, 4:] = 255
    scorer = SemanticScorer(rounds=rounds, radius=0, use_weak_map=True, network_weight=0.2)
    scores = _score(scorer, logits, embedding, weak_map)
    assert torch.allclose(scores[..., 4:], logits.softmax(dim=1)[..., 4:], atol=1e-6)
    assert torch.allclose(scores.sum(dim=1), torch.ones(1, *SIZE))
    nothing = _score(scorer, logits, embedding, torch.full_like(weak_map, 255))
    assert torch.allclose(nothing, logits.softmax(dim=1), atol=1e-6)


def test_ignored_pixels_propagate_nothing():
    logits, embedding, weak_map = _maps()
    ignored = torch.zeros(1, *SIZE, dtype=torch.bool)
    ignored[:, :, 6:] = True
    changed_logits, changed_map = logits.clone(), weak_map.clone()
    changed_logits[..., 6:], changed_map[..., 6:] = 9.0, 3
    for scorer in (SemanticScorer(rounds=1), SemanticScorer(rounds=1, use_weak_map=True)):
        first = _score(scorer, logits, embedding, weak_map, ignored=ignored)
        second = _score(scorer, changed_logits, embedding, changed_map, ignored=ignored)
        assert torch.allclose(first[..., :6], second[..., :6], atol=1e-6)


@pytest.mark.parametrize(
    ('options', 'message'),
    [(dict(rounds=-1), 'rounds >= 0, got -1'), (dict(network_weight=2), r'in \[0, 1\], got 2')],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        SemanticScorer(**options)
