import dataclasses

import pytest
import torch

from mmp2seg.codecs import DROP_REASONS, ImagePoints, PointBatch, PointTargets
from mmp2seg.ops.components import Regions
from mmp2seg.testing.host_waits import host_waits


def test_every_reason_has_an_explanation():
    assert list(DROP_REASONS) == ['duplicate', 'outside_image', 'no_region', 'no_pixels']
    assert all(text and not text.endswith('.') for text in DROP_REASONS.values())


def test_results_are_not_changed_in_place():
    targets = PointTargets(*[torch.zeros(1)] * 3)
    with pytest.raises(dataclasses.FrozenInstanceError):
        targets.weight = torch.ones(1)


def _image(points, labels, region_labels, size=(3, 4)):
    regions = Regions(
        torch.arange(size[0] * size[1], dtype=torch.int32).view(size) % (len(region_labels) + 1),
        torch.tensor(region_labels, dtype=torch.int64),
        torch.full((len(region_labels),), 5),
    )
    points = torch.tensor(points, dtype=torch.float32).reshape(-1, 2)
    return ImagePoints(points, torch.tensor(labels, dtype=torch.int64), regions)


def test_a_batch_is_padded():
    images = [
        _image([[1, 1], [2, 0.5], [0, 0]], [4, 1, 4], [1, 4]),
        _image([], [], []),
        _image([[3, 2]], [7], [7, 7, 7]),
    ]
    batch = PointBatch.of(images)
    assert batch.labels.tolist() == [[4, 1, 4], [-1, -1, -1], [7, -1, -1]]
    assert batch.values.tolist() == [[0, 2, 5], [0, -1, -1], [0, 8, -1]]
    assert batch.channels.tolist() == [[2, 1, 2], [0, 0, 0], [1, 0, 0]]
    assert batch.regions.labels.tolist() == [[1, 4, -1], [-1, -1, -1], [7, 7, 7]]
    assert batch.regions.areas.tolist() == [[5, 5, 0], [0, 0, 0], [5, 5, 5]]
    for index, image in enumerate(images):
        number = len(image.labels)
        assert torch.equal(batch.points_xy[index, :number], image.points_xy)
        assert (batch.points_xy[index, number:] < -1e5).all()
        assert torch.equal(batch.regions.region_map[index], image.regions.region_map)
        assert image.values.tolist() == [one for one in batch.values[index].tolist() if one >= 0]
        assert image.channels.tolist() == batch.channels[index, :number].tolist()


def test_the_classes_of_a_batch_are_counted_in_one_go():
    images = [_image([[1, 1]] * number, [0] * number, [0]) for number in (1, 3, 2)]
    with host_waits() as found:
        PointBatch.of(images)
    assert len([one for one in found if one.startswith('cpu')]) == 1
