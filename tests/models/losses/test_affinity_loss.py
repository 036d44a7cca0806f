import pytest
import torch

from mmp2seg.ops.affinity import pair_loss
from mmp2seg.registry import MODELS


def _loss(**options):
    return MODELS.build(dict(type='mmp2seg.AffinityLoss', **options))


def test_maps_are_read_at_the_centres_of_the_embeddings_cells():
    embedding = torch.randn(1, 4, 2, 3, generator=torch.Generator().manual_seed(0))
    maps = torch.zeros(1, 2, 8, 12, dtype=torch.int32)
    small = torch.tensor([[1, 1, 2], [0, -1, 2]], dtype=torch.int32)
    maps[0, 0, 2::4, 2::4] = small  # of the 4 x 4 pixels of a cell the one at its centre
    maps[0, 1] = small.repeat_interleave(4, 0).repeat_interleave(4, 1)
    expected = pair_loss(embedding, small.expand(1, 2, 2, 3)).mean()
    assert torch.allclose(_loss()(embedding, maps), expected)


def test_mean_over_images_times_the_weight():
    generator = torch.Generator().manual_seed(0)
    embedding = torch.randn(2, 4, 5, 6, generator=generator)
    maps = torch.randint(-1, 3, (2, 2, 5, 6), generator=generator)
    options = dict(background='different', ignored_as_background=True)
    expected = 0.5 * pair_loss(embedding, maps, **options).mean()
    assert torch.allclose(_loss(loss_weight=0.5, **options)(embedding, maps), expected)


def test_ids_beyond_a_bytes_range_stay_apart():
    maps = torch.tensor([[[[256, 512]]]], dtype=torch.int32)
    embedding = torch.tensor([[[[3.0, 3.0]]]])
    expected = pair_loss(embedding, torch.tensor([[[[1, 2]]]]))[0]
    assert torch.allclose(_loss()(embedding, maps), expected)


def test_unknown_background_is_an_error():
    with pytest.raises(ValueError, match="got 'negative'"):
        _loss(background='negative')
