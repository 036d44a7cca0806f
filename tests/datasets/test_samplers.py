import itertools
import pickle

import numpy as np
import pytest
from mmengine.dataset import (
    BaseDataset,
    ConcatDataset,
    DefaultSampler,
    InfiniteSampler,
    RepeatDataset,
)

from mmp2seg.datasets import samplers
from mmp2seg.datasets.samplers import DrawnIndex, SeededInfiniteSampler, SeededSampler
from mmp2seg.registry import DATA_SAMPLERS

DATA = list(range(7))


def drawn(sampler, number):
    indices = list(itertools.islice(iter(sampler), number))
    return [(int(index), index.draw) for index in indices]


def test_an_index_is_an_int_with_its_draw():
    index = DrawnIndex(9, (1, 2))
    assert index == 9 and isinstance(index, int) and [*range(10)][index] == 9
    assert np.arange(10)[index] == 9
    for other in (pickle.loads(pickle.dumps(index)), index % 10, index - 0):
        assert (other, other.draw) == (9, (1, 2))
    assert (index % 4, index - 4) == (1, 5)


def test_infinite_indices_are_those_of_mmengine_with_their_places():
    found = drawn(SeededInfiniteSampler(DATA, seed=3), 20)
    expected = list(itertools.islice(iter(InfiniteSampler(DATA, seed=3)), 20))
    assert found == [(index, (3, place)) for place, index in enumerate(expected)]


def test_after_a_skip_the_places_go_on():
    whole = drawn(SeededInfiniteSampler(DATA, seed=3), 20)
    sampler = SeededInfiniteSampler(DATA, seed=3)
    sampler.skip(12)
    assert drawn(sampler, 8) == whole[12:]


@pytest.mark.parametrize('kind', [SeededInfiniteSampler, SeededSampler])
def test_places_count_over_all_processes(monkeypatch, kind):
    alone = drawn(kind(DATA, seed=3), 6)
    parts = []
    for rank in range(2):
        monkeypatch.setattr('mmengine.dataset.sampler.get_dist_info', lambda rank=rank: (rank, 2))
        parts.append(drawn(kind(DATA, seed=3), 3))
    assert [pair for both in zip(*parts, strict=True) for pair in both] == alone


def test_the_epoch_is_part_of_a_draw():
    sampler = SeededSampler(DATA, seed=3)
    sampler.set_epoch(2)
    plain = DefaultSampler(DATA, seed=3)
    plain.set_epoch(2)
    assert drawn(sampler, 9) == [(index, (3, 2, place)) for place, index in enumerate(plain)]


def test_the_draw_reaches_the_pipeline_through_wrappers():
    class Numbers(BaseDataset):
        def load_data_list(self):
            return [dict(value=value) for value in range(4)]

    seen = []
    datasets = [Numbers(pipeline=[lambda results: seen.append(results) or results]) for _ in '12']
    for wrapped in (ConcatDataset(datasets), RepeatDataset(datasets[0], 2)):
        wrapped[DrawnIndex(4 + 1, (1, 2))]
        assert seen[-1]['value'] == 1 and seen[-1]['sample_idx'].draw == (1, 2)
    assert len(seen) == 2


def test_both_are_registered():
    for name in ('SeededInfiniteSampler', 'SeededSampler'):
        assert DATA_SAMPLERS.get(f'mmp2seg.{name}') is getattr(samplers, name)
