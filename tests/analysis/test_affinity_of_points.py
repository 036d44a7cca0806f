import math

import pytest
import torch

from mmp2seg.analysis.affinity_of_points import (
    RELATIONS,
    affinity_of_cells,
    cells_of_points,
    mean_affinity_by_relation,
)


def test_cells_of_points_by_hand():
    points = torch.tensor([[0.0, 0.0], [3.9, 4.0], [4.0, 3.9], [15.99, 7.99]])
    cells = cells_of_points(points, size=(8, 16), grid=(2, 4))
    assert cells.tolist() == [[0, 0], [1, 0], [0, 1], [1, 3]]
    assert cells.dtype == torch.int64


def test_a_point_rounded_onto_the_border_stays_in_the_last_cell():
    almost = torch.tensor([[99.999996, 99.999996]])
    assert cells_of_points(almost, size=(100, 100), grid=(33, 33)).tolist() == [[32, 32]]


def test_no_points():
    assert cells_of_points(torch.zeros(0, 2), size=(8, 8), grid=(2, 2)).shape == (0, 2)
    cells = torch.zeros(0, 2, dtype=torch.int64)
    assert affinity_of_cells(torch.ones(3, 2, 2), cells).shape == (0, 2, 2)


def test_affinity_of_cells_by_hand():
    # cells (1, 0), (0, 2), (-1, 0) in a row
    embedding = torch.tensor([[[1.0, 0.0, -1.0]], [[0.0, 2.0, 0.0]]])
    affinity = affinity_of_cells(embedding, torch.tensor([[0, 0], [0, 1]]))
    sigmoid = [1 / (1 + math.exp(-x)) for x in (1, 0, -1, 4)]
    expected = [[sigmoid[:3]], [[sigmoid[1], sigmoid[3], sigmoid[1]]]]
    torch.testing.assert_close(affinity, torch.tensor(expected))


def test_affinity_is_float32_also_of_a_half_precision_embedding():
    affinity = affinity_of_cells(torch.ones(3, 1, 1).bfloat16(), torch.zeros(1, 2).long())
    assert affinity.dtype == torch.float32


# two instances of class 5, one of class 7, background, one ignored cell
INSTANCE_MAP = torch.tensor([[1, 1, 2], [3, 0, -1]])
INSTANCE_LABELS = torch.tensor([5, 5, 7])
AFFINITY = torch.tensor(
    [
        [[1.0, 0.8, 0.4], [0.2, 0.1, 99.0]],
        [[0.3, 0.1, 0.7], [0.4, 0.5, 99.0]],
        [[99.0, 99.0, 99.0], [99.0, 99.0, 99.0]],
    ]
)


def test_mean_affinity_by_hand():
    owners = torch.tensor([1, 2, 0])  # the last point has no instance
    means = mean_affinity_by_relation(AFFINITY, owners, INSTANCE_MAP, INSTANCE_LABELS)
    assert list(means) == list(RELATIONS)
    expected = [(0.9 + 0.7) / 2, (0.4 + 0.2) / 2, (0.2 + 0.4) / 2, (0.1 + 0.5) / 2]
    assert list(means.values()) == pytest.approx(expected)


def test_a_point_without_cells_of_a_kind_does_not_count_for_it():
    owners = torch.tensor([1, 3])  # instance 3 is alone in its class
    means = mean_affinity_by_relation(AFFINITY[:2], owners, INSTANCE_MAP, INSTANCE_LABELS)
    expected = [(0.9 + 0.4) / 2, 0.4, (0.2 + (0.3 + 0.1 + 0.7) / 3) / 2, (0.1 + 0.5) / 2]
    assert list(means.values()) == pytest.approx(expected)


def test_means_of_no_points_are_nan():
    nothing = torch.zeros(1, dtype=torch.int64)
    means = mean_affinity_by_relation(AFFINITY[:1], nothing, INSTANCE_MAP, INSTANCE_LABELS)
    assert all(math.isnan(value) for value in means.values())
    empty = mean_affinity_by_relation(
        AFFINITY[:0], nothing[:0], torch.zeros(2, 3, dtype=torch.int32), nothing[:0]
    )
    assert all(math.isnan(value) for value in empty.values())
