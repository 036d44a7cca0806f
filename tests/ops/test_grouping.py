import math

import pytest
import torch

from mmp2seg.ops.coords import pixel_centers
from mmp2seg.ops.grouping import (
    _candidates_of_tiles,
    nearest_point,
    nearest_point_by_tiles,
    nearest_point_streamed,
    nearest_point_within,
)

BOTH = pytest.mark.parametrize('find', [nearest_point_streamed, nearest_point_by_tiles])


def _group(points, groups, point_groups, find=nearest_point, **options):
    groups = torch.as_tensor(groups)
    return find(
        pixel_centers(*groups.shape),
        torch.tensor(points, dtype=torch.float32).reshape(-1, 2),
        position_groups=groups,
        point_groups=torch.tensor(point_groups, dtype=torch.int64),
        **options,
    )


@BOTH
def test_a_region_is_separated_by_distance(find):
    groups = [[1, 1, 1, 1, 1], [0, 0, 2, 2, 2]]
    instance_map = _group([[0.5, 0.5], [4.5, 0.5]], groups, [1, 1], find)
    assert instance_map.tolist() == [[1, 1, 1, 2, 2], [0, 0, 0, 0, 0]]
    assert instance_map.dtype == torch.int32


@BOTH
def test_points_of_other_groups_and_of_no_group_are_no_candidates(find):
    groups = [[1, 1, 2, 0]]
    instance_map = _group([[1.5, 0.5], [0.5, 0.5], [2.5, 0.5]], groups, [2, 1, 0], find)
    assert instance_map.tolist() == [[2, 2, 1, 0]]


@BOTH
def test_a_point_reaches_no_farther_than_the_limit(find):
    instance_map = _group([[0.5, 0.5]], [[1] * 5], [1], find, max_distance=2)
    assert instance_map.tolist() == [[1, 1, 1, 0, 0]]


@BOTH
def test_of_equally_near_points_the_first_counts(find):
    for points in ([[0.5, 0.5], [2.5, 0.5]], [[2.5, 0.5], [0.5, 0.5]]):
        assert _group(points, [[1, 1, 1]], [1, 1], find)[0, 1] == 1


@BOTH
def test_no_group_of_the_map_has_a_point(find):
    assert not _group([[0.5, 0.5]] * 2, [[1, 1]], [2, 0], find).any()


def test_no_points_and_no_pixels():
    instance_map = _group([], [[1, 1]], [])
    assert instance_map.tolist() == [[0, 0]]
    assert instance_map.dtype == torch.int32
    assert _group([[0.5, 0.5]], torch.zeros(0, 3, dtype=torch.int64), [1]).shape == (0, 3)


@pytest.mark.parametrize(
    ('find', 'options'),
    [
        *((nearest_point_streamed, dict(block_elements=size)) for size in (1, 7, 64, 10**6)),
        *((nearest_point_by_tiles, dict(tile_side=side)) for side in (1, 2, 5, 64)),
    ],
)
@pytest.mark.parametrize('max_distance', [2.5, math.inf])
def test_result_does_not_depend_on_the_block_size_and_equals_a_dense_table(
    find, options, max_distance
):
    generator = torch.Generator().manual_seed(0)
    groups = torch.randint(0, 4, (9, 11), generator=generator)
    points = torch.rand(13, 2, generator=generator) * 10
    point_groups = torch.randint(0, 4, (13,), generator=generator)
    instance_map = _group(
        points.tolist(),
        groups,
        point_groups.tolist(),
        find,
        max_distance=max_distance,
        **options,
    )
    for row in range(9):
        for col in range(11):
            group = groups[row, col]
            dense = (points - torch.tensor([col + 0.5, row + 0.5])).norm(dim=1)
            dense[(point_groups != group) | (group == 0) | (dense > max_distance)] = torch.inf
            expected = 0 if dense.isinf().all() else int(dense.argmin()) + 1
            assert instance_map[row, col] == expected


@pytest.mark.parametrize('tile_side', [1, 3, 16, 32])
@pytest.mark.parametrize('num_points', [1, 3, 40])
@pytest.mark.parametrize('spread', [0.0, 6.0])
@pytest.mark.parametrize('max_distance', [8.0, math.inf])
def test_tiles_return_what_the_stream_returns(tile_side, num_points, spread, max_distance):
    """Random landing positions and points on pixel centres, so that some positions have ties."""
    generator = torch.Generator().manual_seed(num_points)
    regions = torch.randint(0, 5, (3, 4), generator=generator)
    groups = regions.repeat_interleave(13, 0).repeat_interleave(12, 1) * 7  # gaps in the numbering
    landing = pixel_centers(*groups.shape)
    landing += spread * torch.randn(landing.shape, generator=generator)
    points = (torch.rand(num_points, 2, generator=generator) * 48).floor() + 0.5
    case = dict(
        position_groups=groups.int(),
        point_groups=torch.randint(0, 6, (num_points,), generator=generator) * 7,  # 0: no group
        max_distance=max_distance,
    )
    expected = nearest_point_streamed(landing, points, **case)
    tiled = nearest_point_by_tiles(landing, points, **case, tile_side=tile_side)
    assert torch.equal(tiled, expected)
    assert num_points < 40 or expected.any()


def test_a_tile_is_compared_with_few_of_many_points():
    """The candidates of a tile are the points around it, not all 200 points of its region."""
    points = torch.rand(200, 2, generator=torch.Generator().manual_seed(0)) * 256
    xs, ys = pixel_centers(32, 32).reshape(2, 1, -1) + 128
    groups, point_groups = torch.ones(xs.shape, dtype=torch.int32), torch.ones(200).long()
    can_win = _candidates_of_tiles(xs, ys, groups, points, point_groups, math.inf)
    assert 1 <= can_win.sum() < 40
    far = _candidates_of_tiles(xs, ys, groups, points + 10_000, point_groups, 8.0)
    assert not far.any()


def test_order_of_points_only_renames_instances():
    generator = torch.Generator().manual_seed(1)
    points = torch.rand(6, 2, generator=generator) * 8
    order = torch.randperm(6, generator=generator)
    groups = torch.ones(8, 8, dtype=torch.int64)
    first = _group(points.tolist(), groups, [1] * 6)
    second = _group(points[order].tolist(), groups, [1] * 6)
    assert torch.equal(order[second.long() - 1] + 1, first.long())


def test_more_than_128_points():
    points = [[col + 0.5, 0.5] for col in range(300)]
    instance_map = _group(points, torch.ones(1, 300, dtype=torch.int64), [1] * 300)
    assert instance_map[0].tolist() == list(range(1, 301))


def _random_limits(draw, size, points, limited):
    limits = torch.rand(len(limited), *size, generator=draw) < 0.5
    for index, point in enumerate(limited):
        column, row = points[point].long()
        limits[index, row, column] = True
    return limits


@pytest.mark.parametrize('max_distance', [math.inf, 6.0])
def test_limited_points_against_a_table_of_all_distances(max_distance):
    draw = torch.Generator().manual_seed(0)
    size, points = (13, 17), torch.rand(9, 2, generator=torch.Generator().manual_seed(1)) * 13
    groups = torch.randint(0, 3, size, generator=draw)
    point_groups = torch.randint(0, 3, (9,), generator=draw)
    limited = torch.tensor([1, 4, 8])
    limits = _random_limits(draw, size, points, limited)
    centers = pixel_centers(*size)
    squared = (centers[None] - points[:, :, None, None]).square().sum(1)
    allowed = (groups == point_groups[:, None, None]) & (groups > 0)
    allowed &= squared <= max_distance**2
    allowed[limited] &= limits
    best, index = squared.masked_fill(~allowed, math.inf).min(0)
    found = nearest_point_within(
        centers,
        points,
        position_groups=groups,
        point_groups=point_groups,
        limited=limited,
        limits=limits,
        max_distance=max_distance,
    )
    assert torch.equal(found, ((index + 1) * best.isfinite()).int())


def test_no_limits_and_no_points():
    none, nothing = torch.zeros(0, dtype=torch.int64), torch.zeros(0, 1, 3, dtype=torch.bool)
    options = dict(position_groups=torch.ones(1, 3, dtype=torch.int64), limited=none)
    centers, points = pixel_centers(1, 3), torch.tensor([[0.5, 0.5]])
    found = nearest_point_within(
        centers, points, point_groups=torch.tensor([1]), limits=nothing, **options
    )
    assert found.tolist() == [[1, 1, 1]]
    found = nearest_point_within(centers, points[:0], point_groups=none, limits=nothing, **options)
    assert found.tolist() == [[0, 0, 0]]


@pytest.mark.parametrize('block_elements', [1, 50, 1 << 20])
def test_a_batch_is_its_images(block_elements):
    draw = torch.Generator().manual_seed(0)
    positions = 9 * torch.rand(3, 2, 7, 9, generator=draw)
    points = 9 * torch.rand(3, 4, 2, generator=draw)
    groups = torch.randint(0, 3, (3, 7, 9), generator=draw, dtype=torch.int32)
    point_groups = torch.randint(0, 3, (3, 4), generator=draw)
    options = dict(position_groups=groups, point_groups=point_groups, max_distance=5.0)
    for where in (positions, pixel_centers(7, 9)):
        of_batch = nearest_point(where, points, **options)
        streamed = nearest_point_streamed(where, points, block_elements=block_elements, **options)
        assert torch.equal(of_batch, streamed)
        for index in range(3):
            alone = nearest_point(
                where if where.dim() == 3 else where[index],
                points[index],
                position_groups=groups[index],
                point_groups=point_groups[index],
                max_distance=5.0,
            )
            assert torch.equal(of_batch[index], alone)
