import torch

from mmp2seg.ops.coords import pixel_centers
from mmp2seg.ops.offsets import (
    instance_centroids,
    landing_positions,
    offsets_at_points,
    offsets_to_points,
)

INSTANCE_MAP = torch.tensor([[1, 1, 0], [2, 2, 2]], dtype=torch.int32)
POINTS = torch.tensor([[0.5, 0.5], [2.0, 1.0]])


def test_offset_is_dx_dy_from_pixel_centre_to_point():
    offset, weight = offsets_to_points(INSTANCE_MAP, POINTS)
    assert offset[0].tolist() == [[0, -1, 0], [1.5, 0.5, -0.5]]
    assert offset[1].tolist() == [[0, 0, 0], [-0.5, -0.5, -0.5]]
    assert weight.tolist() == [[1, 1, 0], [1, 1, 1]]


def test_offsets_land_on_the_points():
    offset, weight = offsets_to_points(INSTANCE_MAP, POINTS)
    landing = landing_positions(offset)
    for index, point in enumerate(POINTS):
        landed = landing[:, index + 1 == INSTANCE_MAP]
        assert torch.equal(landed, point[:, None].expand_as(landed))
    assert torch.equal(landing[:, weight == 0], pixel_centers(2, 3)[:, weight == 0])


def test_landing_of_a_batch_and_of_half_precision():
    offset = torch.ones(4, 2, 2, 3, dtype=torch.float16)
    landing = landing_positions(offset)
    assert landing.dtype == torch.float32
    assert torch.equal(landing[3], pixel_centers(2, 3) + 1)


def test_flip_mirrors_the_offsets():
    offset, _ = offsets_to_points(INSTANCE_MAP, POINTS)
    flipped_points = torch.stack([3 - POINTS[:, 0], POINTS[:, 1]], dim=1)
    flipped, _ = offsets_to_points(INSTANCE_MAP.flip(1), flipped_points)
    assert torch.equal(flipped[0], -offset[0].flip(1))
    assert torch.equal(flipped[1], offset[1].flip(1))


def test_no_points():
    offset, weight = offsets_to_points(torch.zeros(2, 2, dtype=torch.int32), torch.zeros(0, 2))
    assert not offset.any()
    assert not weight.any()


def test_centroids():
    centroids = instance_centroids(INSTANCE_MAP, 3)
    assert centroids[:2].tolist() == [[1.0, 0.5], [1.5, 1.5]]
    assert centroids[2].isnan().all()
    assert instance_centroids(INSTANCE_MAP * 0, 0).shape == (0, 2)


def test_offsets_at_points_are_bilinear_between_pixel_centres():
    offset = torch.arange(12.0).reshape(2, 2, 3)
    points = torch.tensor([[0.5, 0.5], [2.5, 1.5], [1.0, 0.5], [1.5, 1.0], [0.0, 0.0]])
    expected = torch.tensor([[0, 6], [5, 11], [0.5, 6.5], [2.5, 8.5], [0, 6]])
    # The last point is beyond the outer centres, where the field goes on as it is there.
    assert torch.allclose(offsets_at_points(offset, points), expected, atol=1e-5)
    assert offsets_at_points(offset.half(), points[:0]).shape == (0, 2)


def test_a_batch_is_its_images():
    draw = torch.Generator().manual_seed(0)
    maps = torch.randint(0, 4, (3, 5, 6), generator=draw, dtype=torch.int32)
    points = 5 * torch.rand(3, 3, 2, generator=draw)
    offset, weight = offsets_to_points(maps, points)
    at_points, centroids = offsets_at_points(offset, points), instance_centroids(maps, 3)
    for index in range(3):
        expected, expected_weight = offsets_to_points(maps[index], points[index])
        assert torch.equal(offset[index], expected)
        assert torch.equal(weight[index], expected_weight)
        assert torch.equal(at_points[index], offsets_at_points(expected, points[index]))
        assert torch.equal(centroids[index], instance_centroids(maps[index], 3))
    assert offset.is_contiguous()
