import numpy as np
import pytest
import torch
from mmdet.datasets.transforms import Pad, RandomCrop, RandomFlip, Resize
from mmdet.structures.bbox import HorizontalBoxes, get_box_type

from mmp2seg.structures import PointBoxes

POINTS = [[1.0, 2.0], [7.5, 0.0]]
SHAPE = (5, 8)  # H, W


def _results(points=POINTS):
    return dict(
        img=np.zeros((*SHAPE, 3), dtype=np.uint8),
        img_shape=SHAPE,
        gt_bboxes=PointBoxes(np.array(points, dtype=np.float32)),
        gt_bboxes_labels=np.arange(len(points)),
        gt_instances_ids=np.arange(len(points)) + 10,
        gt_seg_map=np.arange(40, dtype=np.uint8).reshape(SHAPE),
    )


def test_registered_as_a_box_type():
    assert get_box_type('point') == ('point', PointBoxes)


@pytest.mark.parametrize(
    ('direction', 'expected'),
    [
        ('horizontal', [[7, 2], [0.5, 0]]),
        ('vertical', [[1, 3], [7.5, 5]]),
        ('diagonal', [[7, 3], [0.5, 5]]),
    ],
)
def test_flip_through_mmdet(direction, expected):
    results = RandomFlip(prob=1.0, direction=direction)(_results())
    # y = 0 becomes a number just below 5
    assert np.allclose(results['gt_bboxes'].tensor, expected, atol=1e-5, rtol=0)
    assert results['gt_bboxes'].is_inside(SHAPE).all()


def test_flip_twice_is_nothing_and_the_direction_is_checked():
    points = PointBoxes(POINTS)
    points.flip_(SHAPE)
    points.flip_(SHAPE)
    assert points.tensor.tolist() == POINTS  # no x is on the border
    with pytest.raises(ValueError, match="got 'upwards'"):
        points.flip_(SHAPE, 'upwards')


@pytest.mark.parametrize('side', [1, 256, 4099])
def test_a_flip_keeps_points_of_the_border_on_the_image(side):
    """x = 0 is on the first pixel, x = W is on none."""
    border = [[0.0, 0.0], [1e-9, 0.0], [float(np.nextafter(np.float32(side), 0)), 0.0]]
    points = PointBoxes([*border, [-0.5, side + 0.5]])
    points.flip_((side, side), 'diagonal')
    assert points.is_inside((side, side)).tolist() == [True, True, True, False]
    assert np.floor(points.numpy()[:3, 0]).tolist() == [side - 1, side - 1, 0]
    assert points.tensor[3].tolist() == [side + 0.5, -0.5]


@pytest.mark.parametrize('width', [3, 97, 333, 500, 1021, 4096])
@pytest.mark.parametrize('scale', [0.1, 1 / 3, 0.7000001, 0.77, 1.3, 7.77])
def test_points_of_the_border_stay_inside_under_flips_resizes_and_crops(width, scale):
    """A point that lies on a pixel lies on one afterwards, through mmdet's own transforms."""
    height, last = 8, float(np.nextafter(np.float32(width), np.float32(0)))
    points = [[0.0, 0.0], [1e-9, 7.9999999], [last, 0.0], [width - 1e-5, 4.0], [width / 2, 7.0]]
    results = dict(
        img=np.zeros((height, width, 3), dtype=np.uint8),
        img_shape=(height, width),
        gt_bboxes=PointBoxes(np.array(points, dtype=np.float32)),
        gt_bboxes_labels=np.arange(5),
        gt_instances_ids=np.arange(5),
    )
    results['gt_bboxes'].clip_((height, width))
    for factor in (scale, 1 / scale, scale):
        size = (max(round(results['img'].shape[1] * factor), 1), height)
        for transform in (
            RandomFlip(prob=1.0, direction='diagonal'),
            Resize(scale=size, keep_ratio=False),
            RandomCrop(crop_size=size, allow_negative_crop=True),
        ):
            results = transform(results)
            assert len(results['gt_bboxes']) == 5
            assert results['gt_bboxes'].is_inside(results['img_shape']).all()


def test_a_point_off_the_border_is_not_moved():
    points = [[3.0, 2.0], [0.0, 0.0], [7.9, 4.9], [8.0, 1.0], [-1.0, 9.0]]
    boxes = PointBoxes(np.array(points))
    boxes.clip_(SHAPE)
    assert boxes.tensor.tolist() == points


def test_resize_through_mmdet():
    results = Resize(scale=(16, 15), keep_ratio=False)(_results())
    assert results['gt_bboxes'].tensor.tolist() == [[2, 6], [15, 0]]


def test_crop_through_mmdet_drops_points_outside_and_never_moves_them(monkeypatch):
    crop = RandomCrop(crop_size=(4, 5), allow_negative_crop=True)
    monkeypatch.setattr(crop, '_rand_offset', lambda margin: (0, 3))
    results = crop(_results())
    assert results['gt_bboxes'].tensor.tolist() == []
    monkeypatch.setattr(crop, '_rand_offset', lambda margin: (0, 4))
    results = crop(_results())
    assert results['gt_bboxes'].tensor.tolist() == [[3.5, 0]]
    assert results['gt_bboxes_labels'].tolist() == [1]
    assert results['gt_instances_ids'].tolist() == [11]


def test_pad_through_mmdet_ignores_the_border():
    results = Pad(size=(10, 10), pad_val=dict(img=0, seg=255))(_results())
    assert results['gt_bboxes'].tensor.tolist() == POINTS
    assert (results['gt_seg_map'][:, 8:] == 255).all()


def test_affine_and_rotation_agree_with_boxes_of_no_extent():
    matrix = np.array([[0.9, -0.2, 3], [0.1, 1.1, -1], [0.001, 0, 1]], dtype=np.float32)
    points = PointBoxes(POINTS)
    boxes = HorizontalBoxes([point * 2 for point in POINTS])
    points.project_(matrix)
    boxes.project_(matrix)
    assert torch.allclose(points.tensor, boxes.centers)
    points.rotate_((2.0, 1.0), 30)
    boxes.rotate_((2.0, 1.0), 30)
    assert torch.allclose(points.tensor, boxes.centers, atol=1e-5)


def test_inside_counts_the_first_pixel_and_not_the_far_border():
    points = PointBoxes([[0, 0], [8, 1], [1, 5], [7.9, 4.9], [-1, 1]], dtype=torch.float32)
    assert points.is_inside(SHAPE).tolist() == [True, False, False, True, False]
    assert points.is_inside(SHAPE, allowed_border=1).tolist() == [True] * 5


def test_clip_and_resize_leave_points_alone_and_translate_moves_them():
    points = PointBoxes([[9.0, 1.0]])
    points.clip_(SHAPE)
    points.resize_((2.0, 2.0))
    assert points.tensor.tolist() == [[9, 1]]
    points.translate_((-1, 2))
    assert points.tensor.tolist() == [[8, 3]]


def test_a_point_has_no_extent():
    points = PointBoxes(POINTS)
    assert points.areas.tolist() == points.widths.tolist() == points.heights.tolist() == [0, 0]
    assert torch.equal(points.centers, points.tensor)


def test_overlap_is_equality():
    first, second = PointBoxes(POINTS), PointBoxes(POINTS[::-1])
    assert PointBoxes.overlaps(first, second).tolist() == [[0, 1], [1, 0]]
    assert PointBoxes.overlaps(first, second, is_aligned=True).tolist() == [0, 0]


def test_masks_give_no_points():
    with pytest.raises(TypeError, match='points from the annotation'):
        PointBoxes.from_instance_masks([])


def test_no_points_survive_every_transform():
    results = _results(np.zeros((0, 2)))
    for transform in (
        Resize(scale=(16, 10), keep_ratio=True),
        RandomFlip(prob=1.0),
        RandomCrop(crop_size=(4, 4), allow_negative_crop=True),
    ):
        results = transform(results)
    assert results['gt_bboxes'].tensor.shape == (0, 2)
    assert results['gt_seg_map'].shape == (4, 4)
