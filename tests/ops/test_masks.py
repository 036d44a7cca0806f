import torch

from mmp2seg.ops.masks import (
    cut_instances,
    masks_to_boxes_xyxy,
    masks_to_instance_map,
    mean_over_instances,
)

INSTANCE_MAP = torch.tensor([[0, 1, 1, 0], [0, 0, 1, 3], [0, 0, 0, 3]], dtype=torch.int32)
# Instance 2 is empty.
MASKS = torch.tensor([1, 2, 3])[:, None, None] == INSTANCE_MAP


def test_masks_become_a_map():
    instance_map = masks_to_instance_map(MASKS)
    assert instance_map.dtype == torch.int32
    assert torch.equal(instance_map, INSTANCE_MAP)


def test_cut_instances():
    values = torch.tensor([[9.0, 1.0, 2.0, 9.0], [9.0, 9.0, 3.0, 4.0], [9.0, 9.0, 9.0, 8.0]])
    # of region 3, of none, of a region without pixels, of region 1 and of region 3 again
    numbers = torch.tensor([3, 0, 2, 1, 3])
    masks, means, keep = cut_instances(INSTANCE_MAP, numbers, values)
    assert keep.tolist() == [True, False, False, True, True]
    assert torch.equal(masks, torch.tensor([3, 1, 3])[:, None, None] == INSTANCE_MAP)
    assert means.tolist() == [6.0, 2.0, 6.0]


def test_cut_instances_beyond_the_map():
    numbers = torch.tensor([7])
    masks, means, keep = cut_instances(INSTANCE_MAP, numbers, torch.ones(3, 4))
    assert masks.shape == (0, 3, 4) and means.shape == (0,) and keep.tolist() == [False]
    masks, means, keep = cut_instances(INSTANCE_MAP, numbers[:0], torch.ones(3, 4))
    assert masks.shape == (0, 3, 4) and means.shape == keep.shape == (0,)


def test_boxes_are_tight_and_zero_for_an_empty_mask():
    boxes = masks_to_boxes_xyxy(MASKS)
    assert boxes.tolist() == [[1, 0, 3, 2], [0, 0, 0, 0], [3, 1, 4, 3]]


def test_later_masks_win_where_they_overlap():
    masks = torch.tensor([[[True, True, False]], [[False, True, True]]])
    assert masks_to_instance_map(masks).tolist() == [[1, 2, 2]]


def test_means():
    values = torch.arange(12.0).reshape(3, 4)
    assert mean_over_instances(values, INSTANCE_MAP, 3).tolist() == [3.0, 0.0, 9.0]


def test_no_instances():
    empty = torch.zeros(0, 3, 4, dtype=torch.bool)
    assert masks_to_instance_map(empty).shape == (3, 4)
    assert masks_to_boxes_xyxy(empty).shape == (0, 4)
    assert mean_over_instances(torch.ones(3, 4), INSTANCE_MAP * 0, 0).shape == (0,)
