from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from scipy import ndimage

from mmp2seg.ops import components, components_fused
from mmp2seg.ops.components import (
    Regions,
    find_regions,
    find_regions_of_batch,
    keep_connected,
    regions_of_points,
)
from mmp2seg.testing.host_waits import host_waits

SEMANTIC_MAP = np.array(
    [
        [1, 1, 0, 2, 2],
        [0, 0, 0, 2, 0],
        [1, 0, 0, 255, 0],
        [1, 0, 3, 0, 1],
    ],
    dtype=np.uint8,
)


def _regions(labels):
    return find_regions(SEMANTIC_MAP, np.array(labels, dtype=np.int64))


def _of_points(points, labels, regions=None, **options):
    regions = _regions(labels) if regions is None else regions
    points = torch.tensor(points, dtype=torch.float64).reshape(-1, 2)
    found = regions_of_points(points, torch.tensor(labels, dtype=torch.int64), regions, **options)
    return found.tolist()


def _at(regions, *pixels):
    return [int(regions.region_map[pixel]) for pixel in pixels]


def test_regions_are_components_of_the_points_classes_only():
    regions = _regions([0, 0, 1])
    region_map = regions.region_map.numpy()
    # Class 2 (value 3) has no point; 255 is no class.
    assert regions.labels.tolist() == [0, 0, 0, 1]
    assert (region_map > 0).tolist() == np.isin(SEMANTIC_MAP, [1, 2]).tolist()
    values = np.append(0, regions.labels.numpy() + 1)[region_map]
    assert values[SEMANTIC_MAP < 3].tolist() == SEMANTIC_MAP[SEMANTIC_MAP < 3].tolist()
    assert len(set(_at(regions, (0, 0), (3, 0), (3, 4), (0, 3)))) == 4
    assert region_map[0, 0] == region_map[0, 1]


def test_areas_count_the_pixels():
    regions = _regions([1, 0])
    counts = torch.bincount(regions.region_map.flatten().long(), minlength=5)[1:]
    assert torch.equal(regions.areas, counts)
    assert sorted(regions.areas.tolist()) == [1, 2, 2, 3]


def test_a_class_without_pixels_has_no_region():
    regions = _regions([7, 1])
    assert regions.labels.tolist() == [1]
    assert regions.region_map.tolist() == (SEMANTIC_MAP == 2).astype(int).tolist()


@pytest.mark.parametrize('order', ['C', 'F'])
def test_memory_order_of_the_map_does_not_matter(order):
    flipped = np.array(SEMANTIC_MAP[:, ::-1], order=order)[:, ::-1]
    found, expected = find_regions(flipped, np.array([0, 1])), _regions([0, 1])
    assert all(torch.equal(*pair) for pair in zip(found, expected, strict=True))


def test_diagonal_neighbours_are_connected():
    regions = find_regions(np.eye(3, dtype=np.uint8), np.array([0]))
    assert regions.labels.tolist() == [0]
    assert regions.region_map.tolist() == np.eye(3, dtype=int).tolist()


def test_no_points_no_regions():
    regions = _regions([])
    assert not regions.region_map.any()
    assert regions.labels.shape == regions.areas.shape == (0,)
    assert [values.dtype for values in regions] == [torch.int32, torch.int64, torch.int64]


def test_point_belongs_to_the_region_of_its_class_at_its_pixel():
    labels = [0, 0, 1, 1]
    points = [[0.0, 0.0], [4.9, 3.9], [3.5, 1.5], [0.5, 0.5]]
    expected = _at(_regions(labels), (0, 0), (3, 4), (1, 3))
    assert _of_points(points, labels) == [*expected, 0]  # the last: on class 0, labelled class 1


def test_small_regions_have_no_points():
    labels = [0, 0]
    points = [[4.5, 3.5], [0.5, 3.5]]
    expected = _at(_regions(labels), (3, 4), (3, 0))
    assert _of_points(points, labels, min_area=1) == expected
    assert _of_points(points, labels, min_area=2) == [0, expected[1]]
    near = _of_points(points, labels, min_area=2, max_snap_distance=50)
    assert near[0] in expected[1:] + _at(_regions(labels), (0, 0))


def test_point_off_its_class_snaps_to_the_nearest_region_within_reach():
    point = [[1.5, 2.5]]  # pixel (2, 1); class-0 pixels at distance 1 and 2
    assert _of_points(point, [0], max_snap_distance=0.9) == [0]
    assert _of_points(point, [0], max_snap_distance=1.0) == _at(_regions([0]), (2, 0))


def test_snapping_ignores_nearer_regions_of_other_classes():
    points = [[2.5, 0.5], [2.5, 0.5]]  # class 0 at its left, class 1 at its right
    expected = _at(_regions([0, 1]), (0, 1), (0, 3))
    assert _of_points(points, [0, 1], max_snap_distance=2) == expected


def test_of_equally_near_regions_the_first_in_reading_order_counts():
    rows = np.array([[0, 1, 0], [0, 0, 0], [1, 0, 1]], dtype=np.uint8)
    regions = find_regions(rows, np.array([0]))
    point = [[1.5, 1.5]]
    assert _of_points(point, [0], regions, max_snap_distance=1) == _at(regions, (0, 1))
    assert _of_points([[1.5, 2.5]], [0], regions, max_snap_distance=1) == _at(regions, (2, 0))


def test_a_reach_over_the_border_is_cut():
    assert _of_points([[0.0, 1.2]], [0], max_snap_distance=50) == _at(_regions([0]), (0, 0))


@pytest.mark.parametrize('seed', range(5))
def test_snapping_is_that_of_a_search_over_all_pixels(seed):
    rng = np.random.default_rng(seed)
    rows = rng.choice([0, 1, 2, 255], (17, 23), p=[0.8, 0.08, 0.08, 0.04]).astype(np.uint8)
    labels = rng.integers(0, 2, 30)
    points = rng.random((30, 2)) * [23, 17]
    regions, reach = find_regions(rows, labels), 3.0
    found = _of_points(points.tolist(), labels.tolist(), regions, max_snap_distance=reach)
    ys, xs = np.nonzero(rows >= 0)
    for (x, y), label, region in zip(points, labels, found, strict=True):
        squared = (xs + 0.5 - x) ** 2 + (ys + 0.5 - y) ** 2
        squared[(rows[ys, xs] != label + 1) | (squared > reach**2)] = np.inf
        squared[(ys == int(y)) & (xs == int(x)) & (rows[ys, xs] == label + 1)] = -1
        best = squared.argmin()
        expected = 0 if np.isinf(squared[best]) else regions.region_map[ys[best], xs[best]]
        assert region == expected


@pytest.mark.parametrize('reach', [40.0, 1e4, float('inf')])
@pytest.mark.parametrize('block', [1, 1 << 22])
def test_any_distance_costs_at_most_the_map(reach, block, monkeypatch):
    rows = np.zeros((30, 40), dtype=np.uint8)
    rows[2, 3], rows[28, 1] = 1, 2
    points, labels = [[39.0, 29.0], [0.0, 0.0], [20.0, 10.0]] * 20, [0, 1, 1] * 20
    regions = find_regions(rows, np.array([0, 1]))
    monkeypatch.setattr('mmp2seg.ops.components._BLOCK_ELEMENTS', block)
    found = _of_points(points, labels, regions, max_snap_distance=reach)
    near, far = _at(regions, (2, 3), (28, 1))
    assert found == [near if reach > 45 else 0, far, far] * 20


def test_no_points_and_no_regions():
    assert _of_points([], [], max_snap_distance=8) == []
    assert _of_points([[0.5, 0.5]], [9], max_snap_distance=8) == [0]


def test_the_region_of_a_point_is_found_without_reading_from_the_device():
    """Meta tensors have no values: whatever needs one raises."""
    with torch.device('meta'):
        regions = Regions(
            torch.zeros(20, 30, dtype=torch.int32),
            torch.zeros(4, dtype=torch.int64),
            torch.zeros(4, dtype=torch.int64),
        )
        labels = torch.zeros(7, dtype=torch.int64)
        found = regions_of_points(
            torch.zeros(7, 2), labels, regions, min_area=3, max_snap_distance=8
        )
    assert found.shape == (7,) and found.device.type == 'meta'


def test_of_each_instance_the_part_with_its_point_stays():
    instances = torch.tensor(
        [
            [1, 1, 0, 2, 0, 3],
            [0, 0, 1, 0, 0, 3],
            [2, 0, 0, 0, 1, 0],
            [2, 2, 0, 4, 1, 0],
        ],
        dtype=torch.int32,
    )
    # 1 holds its point; that of 2 is outside of it, that of 3 elsewhere, that of 4 is all there is
    points = torch.tensor([[4.5, 2.5], [4.5, 0.5], [0.5, 0.5], [3.9, 3.9]])
    kept = keep_connected(instances[None], points[None])[0]
    expected = [
        [0, 0, 0, 0, 0, 3],
        [0, 0, 0, 0, 0, 3],
        [2, 0, 0, 0, 1, 0],
        [2, 2, 0, 4, 1, 0],
    ]
    assert kept.tolist() == expected and kept.dtype == torch.int32
    assert instances[0, 0] == 1  # the input stays as it is


def test_a_click_alone_does_not_make_a_part():
    instances = torch.tensor([[1, 0, 1, 1, 1]], dtype=torch.int32)
    kept = keep_connected(instances[None], torch.tensor([[[0.5, 0.5]]]))
    assert kept.tolist() == [[[0, 0, 1, 1, 1]]]
    empty = torch.zeros(1, 2, 3, dtype=torch.int32)
    assert torch.equal(keep_connected(empty, torch.zeros(1, 0, 2)), empty)


def test_connected_parts_of_a_batch_by_threads():
    drawn = torch.Generator().manual_seed(0)
    maps = torch.randint(0, 4, (5, 9, 11), generator=drawn, dtype=torch.int32)
    points = torch.rand(5, 3, 2, generator=drawn) * torch.tensor([11, 9])
    one_by_one = [keep_connected(maps[i : i + 1], points[i : i + 1])[0] for i in range(5)]
    expected = torch.stack(one_by_one)
    assert not torch.equal(expected, maps)
    for threads in (1, 3):
        assert torch.equal(keep_connected(maps, points, threads=threads), expected)


def _random_batch():
    """Maps, and 4, 0 and 2 points, padded; the points of each image and their labels, too."""
    draw = torch.Generator().manual_seed(0)
    maps = torch.randint(0, 4, (3, 12, 15), generator=draw, dtype=torch.uint8)
    points, labels = torch.full((3, 4, 2), -1e6), torch.full((3, 4), -1)
    of_images = []
    for index, number in enumerate((4, 0, 2)):
        points[index, :number] = 12 * torch.rand(number, 2, generator=draw)
        labels[index, :number] = torch.randint(0, 3, (number,), generator=draw)
        of_images.append((points[index, :number], labels[index, :number]))
    return maps, points, labels, of_images


def test_regions_of_the_points_of_a_batch():
    maps, points, labels, of_images = _random_batch()
    batch = find_regions_of_batch(maps, labels)
    for index, (_, of_image) in enumerate(of_images):
        expected = find_regions(maps[index].numpy(), of_image.numpy())
        number = len(expected.labels)
        assert torch.equal(batch.region_map[index], expected.region_map)
        assert torch.equal(batch.labels[index, :number], expected.labels)
        assert torch.equal(batch.areas[index, :number], expected.areas)
        assert (batch.labels[index, number:] == -1).all() and not batch.areas[index, number:].any()
    for options in (dict(), dict(max_snap_distance=4), dict(max_snap_distance=4, min_area=3)):
        of_batch = regions_of_points(points, labels, batch, **options)
        for index, (of_image, own_labels) in enumerate(of_images):
            regions = find_regions(maps[index].numpy(), own_labels.numpy())
            alone = regions_of_points(of_image, own_labels, regions, **options)
            assert torch.equal(of_batch[index, : len(of_image)], alone)
            assert not of_batch[index, len(of_image) :].any()


def test_regions_by_the_kernels_have_the_same_pixels(monkeypatch):
    maps, points, labels, _ = _random_batch()
    maps[0, :2] = 255
    expected = find_regions_of_batch(maps, labels)

    def find_parts(values):
        first, areas = torch.full_like(values, -1), torch.zeros_like(values)
        for one, of_first, of_areas in zip(values, first, areas, strict=True):
            for value in one.unique():
                parts, number = ndimage.label((one == value) & (value > 0), np.ones((3, 3)))
                for part in range(1, number + 1):
                    place = int((parts == part).argmax())
                    of_first[torch.from_numpy(parts == part)] = place
                    of_areas.view(-1)[place] = int((parts == part).sum())
        return first, areas

    monkeypatch.setattr(components_fused, 'supports', lambda maps: True)
    monkeypatch.setattr(components_fused, 'find_parts', find_parts)
    found = find_regions_of_batch(maps, labels)
    assert [value.dtype for value in found] == [value.dtype for value in expected]
    pairs = torch.stack([found.region_map.flatten(1), expected.region_map.flatten(1)], -1)
    for index in range(3):
        both = pairs[index].unique(dim=0)  # one number for one number
        assert len(both) == len(both[:, 0].unique()) == len(both[:, 1].unique())
        for number, other in both.tolist():
            if number == 0 or other == 0:
                assert number == other == 0
                continue
            for values, of_others in zip(found[1:], expected[1:]):
                assert values[index, number - 1] == of_others[index, other - 1]
    for options in (dict(), dict(max_snap_distance=4, min_area=3)):
        own, others = (
            regions_of_points(points, labels, regions, **options) for regions in (found, expected)
        )
        for index in range(3):
            numbers = dict(pairs[index].tolist())
            assert [numbers.get(one, 0) for one in own[index].tolist()] == others[index].tolist()


def test_the_kernels_find_regions_without_a_wait(monkeypatch):
    maps, _, labels, _ = _random_batch()
    monkeypatch.setattr(components_fused, 'supports', lambda maps: True)
    monkeypatch.setattr(components_fused, 'find_parts', lambda values: [values.clone()] * 2)
    with host_waits() as waits:
        find_regions_of_batch(maps, labels)
    assert not waits


def test_maps_of_a_gpu_are_copied_at_once_and_searched_by_threads(monkeypatch):
    maps, _, labels, _ = _random_batch()
    expected = find_regions_of_batch(maps, labels)
    pools = []

    class Pool(ThreadPoolExecutor):
        def __init__(self, threads):
            pools.append(threads)
            super().__init__(threads)

    monkeypatch.setattr(components, 'ThreadPoolExecutor', Pool)
    monkeypatch.setattr(components, '_num_threads', lambda maps: 2)
    with host_waits() as found:
        threaded = find_regions_of_batch(maps, labels)
    assert pools == [2] and sum(one.startswith('cpu') for one in found) == 2
    assert all(map(torch.equal, threaded, expected))


@pytest.mark.parametrize('seed', range(5))
def test_of_equally_large_parts_the_first_in_row_order_stays(seed):
    """OpenCV numbers parts by blocks of 2 x 2 pixels."""
    rng = np.random.default_rng(seed)
    maps = torch.zeros(40, 6, 7, dtype=torch.int32)
    for instances in maps.numpy():
        for column in (0, 3, 6):
            row = rng.integers(5)
            instances[row : row + rng.integers(1, 3), column] = 1
    kept = keep_connected(maps, torch.full((40, 1, 2), -1.0e6))
    for instances, result in zip(maps.numpy(), kept.numpy(), strict=True):
        parts = ndimage.label(instances, np.ones((3, 3)))[0]
        sizes = np.bincount(parts.ravel())[1:]
        tied = np.isin(parts, 1 + np.flatnonzero(sizes == sizes.max()))
        assert np.array_equal(result > 0, parts == parts.flat[tied.argmax()])


def test_padded_rows_own_nothing():
    maps = torch.tensor([[[1, 1, 0, 1]], [[0, 2, 0, 2]]], dtype=torch.int32)
    points = torch.tensor([[[3.5, 0.5], [-1.0e6, -1.0e6]], [[0.5, 0.5], [3.5, 0.5]]])
    assert keep_connected(maps, points).tolist() == [[[1, 1, 0, 0]], [[0, 0, 0, 2]]]


@pytest.mark.parametrize('reach', [0, 4, float('inf')])
def test_padding_gets_no_region_that_is_too_small(reach):
    """Its place is moved to the first pixel, whose region has lost its label."""
    maps = torch.tensor([[[1, 0, 0, 0, 1, 1]]], dtype=torch.uint8)
    labels = torch.tensor([[0, -1]])
    points = torch.tensor([[[4.5, 0.5], [-1e6, -1e6]]])
    regions = find_regions_of_batch(maps, labels)
    found = regions_of_points(points, labels, regions, min_area=2, max_snap_distance=reach)
    assert found.tolist() == [[2, 0]]
