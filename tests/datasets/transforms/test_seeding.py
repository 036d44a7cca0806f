import random

import numpy as np
import torch

from mmp2seg.datasets.samplers import DrawnIndex
from mmp2seg.datasets.transforms.seeding import SeedSample, seed_all


def numbers():
    return random.random(), np.random.rand(), torch.rand(()).item()  # noqa: NPY002


def sample(*draw):
    SeedSample()(dict(sample_idx=DrawnIndex(0, draw)))
    return numbers()


def test_equal_draws_give_equal_numbers():
    first = sample(1, 2)
    numbers()
    assert sample(1, 2) == first
    for other in (sample(1, 3), sample(2, 2), sample(2, 1), sample(1, 2, 1)):
        assert not set(other) & set(first)


def test_other_indices_leave_the_random_state():
    results = [dict(sample_idx=3), {}]
    seed_all([5])
    expected = numbers()
    seed_all([5])
    assert [SeedSample()(one) for one in results] == results
    assert numbers() == expected


def test_generators_get_different_seeds():
    seed_all([0])
    assert len({round(number, 6) for number in numbers()}) == 3
