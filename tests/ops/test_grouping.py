import pytest
import torch

from mmp2seg.ops.coords import pixel_centers
from mmp2seg.ops.grouping import nearest_point


def _group(points, groups, point_groups, **options):
    groups = torch.as_tensor(groups)
    return nearest_point(
        pixel_centers(*groups.shape),
        torch.tensor(points, dtype=torch.float32).reshape(-1, 2),
        position_groups=groups,
        point_groups=torch.tensor(point_groups, dtype=torch.int64),
        **options,
    )


def test_a_region_is_separated_by_distance():
    groups = [[1, 1, 1, 1, 1], [0, 0, 2, 2, 2]]
    instance_map, distance = _group([[0.5, 0.5], [4.5, 0.5]], groups, [1, 1])
    assert instance_map.tolist() == [[1, 1, 1, 2, 2], [0, 0, 0, 0, 0]]
    assert distance[0].tolist() == [0, 1, 2, 1, 0]
    assert distance[1].isinf().all()


def test_points_of_other_groups_and_of_no_group_are_no_candidates():
    groups = [[1, 1, 2, 0]]
    instance_map, _ = _group([[1.5, 0.5], [0.5, 0.5], [2.5, 0.5]], groups, [2, 1, 0])
    assert instance_map.tolist() == [[2, 2, 1, 0]]


def test_no_points_and_no_pixels():
    instance_map, distance = _group([], [[1, 1]], [])
    assert instance_map.tolist() == [[0, 0]]
    assert distance.isinf().all()
    assert _group([[0.5, 0.5]], torch.zeros(0, 3, dtype=torch.int64), [1])[0].shape == (0, 3)


@pytest.mark.parametrize('block_elements', [1, 7, 64, 10**6])
def test_result_does_not_depend_on_the_block_size_and_equals_a_dense_table(block_elements):
    generator = torch.Generator().manual_seed(0)
    groups = torch.randint(0, 4, (9, 11), generator=generator)
    points = torch.rand(13, 2, generator=generator) * 10
    point_groups = torch.randint(0, 4, (13,), generator=generator)
    instance_map, distance = _group(
        points.tolist(), groups, point_groups.tolist(), block_elements=block_elements
    )
    for row in range(9):
        for col in range(11):
            position = torch.tensor([col + 0.5, row + 0.5])
            group = groups[row, col]
            dense = (points - position).norm(dim=1)
            dense[(point_groups != group) | (group == 0)] = torch.inf
            expected = 0 if dense.isinf().all() else int(dense.argmin()) + 1
            assert instance_map[row, col] == expected
            if expected:
                assert distance[row, col] == pytest.approx(dense.min().item(), rel=1e-5)


def test_order_of_points_only_renames_instances():
    generator = torch.Generator().manual_seed(1)
    points = torch.rand(6, 2, generator=generator) * 8
    order = torch.randperm(6, generator=generator)
    groups = torch.ones(8, 8, dtype=torch.int64)
    first, _ = _group(points.tolist(), groups, [1] * 6)
    second, _ = _group(points[order].tolist(), groups, [1] * 6)
    assert torch.equal(order[second.long() - 1] + 1, first.long())


def test_more_than_128_points():
    points = [[col + 0.5, 0.5] for col in range(300)]
    instance_map, _ = _group(points, torch.ones(1, 300, dtype=torch.int64), [1] * 300)
    assert instance_map[0].tolist() == list(range(1, 301))
