import pytest
import torch
from mmdet.structures import DetDataSample

from mmp2seg.models.detectors.original_frame import offset_factors, to_original_frame
from mmp2seg.structures import PointBoxes


def _sample(img_shape, ori_shape, direction=None):
    flip = dict(flip=direction is not None, flip_direction=direction)
    return DetDataSample(metainfo=dict(img_shape=img_shape, ori_shape=ori_shape, **flip))


DIRECTIONS = [('horizontal', (-1,)), ('vertical', (-2,)), ('diagonal', (-2, -1))]


@pytest.mark.parametrize(('direction', 'axes'), DIRECTIONS)
def test_a_flip_is_undone_without_the_padding(direction, axes):
    original = torch.arange(6.0).view(1, 2, 3)
    padded = torch.nn.functional.pad(original.flip(axes), (0, 5, 0, 4), value=9)
    result = to_original_frame(padded, _sample((2, 3), (2, 3), direction))
    assert torch.equal(result, original)


def test_resizing_is_undone():
    values = torch.ones(2, 4, 6)
    assert to_original_frame(values, _sample((4, 6), (8, 9))).shape == (2, 8, 9)


@pytest.mark.parametrize(
    ('direction', 'signs'),
    [(None, (1, 1)), ('horizontal', (-1, 1)), ('vertical', (1, -1)), ('diagonal', (-1, -1))],
)
def test_offsets_scale_and_turn(direction, signs):
    factors = offset_factors(_sample((10, 20), (20, 60), direction), torch.zeros(1))
    assert factors.flatten().tolist() == [3 * signs[0], 2 * signs[1]]


@pytest.mark.parametrize('direction', [None, *(name for name, _ in DIRECTIONS)])
def test_points_and_offsets_agree_with_the_map(direction):
    """A pixel's centre plus its offset is the point, in the input frame and in the original."""
    sample = _sample((10, 20), (10, 20), direction)
    point = torch.tensor([[4.25, 7.5]])
    y, x = torch.meshgrid(torch.arange(10) + 0.5, torch.arange(20) + 0.5, indexing='ij')
    grid = torch.stack([x, y])
    offset = to_original_frame(point[0, :, None, None] - grid, sample)
    landed = grid + offset * offset_factors(sample, offset)
    original = PointBoxes(point.clone())
    if direction is not None:
        original.flip_((10, 20), direction)
    assert torch.allclose(landed, original.tensor[0, :, None, None].expand_as(landed))


def test_a_sample_that_does_not_say_is_not_flipped():
    sample = DetDataSample(metainfo=dict(img_shape=(2, 3), ori_shape=(2, 3)))
    values = torch.rand(1, 2, 3)
    assert torch.equal(to_original_frame(values, sample), values)
