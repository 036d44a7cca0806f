import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData, PixelData

from mmp2seg.ops.rle import encode_rle
from mmp2seg.visualization.stage1_panels import draw_stage1, stage1_panels

HEIGHT, WIDTH = 60, 80
PALETTE = [(200, 10, 20), (30, 210, 40)]


def make_sample(maps=True, masks=2, dropped=1):
    """Two rectangles of class 0 and 1; the input is twice the original size, padded by 20."""
    sample = DetDataSample(
        metainfo={'ori_shape': (HEIGHT, WIDTH), 'img_shape': (2 * HEIGHT, 2 * WIDTH)}
    )
    pred_masks = torch.zeros(2, HEIGHT, WIDTH, dtype=torch.bool)
    pred_masks[0, 10:30, 10:40] = True
    pred_masks[1, 35:55, 30:70] = True
    sample.pred_instances = InstanceData(
        masks=pred_masks, labels=torch.tensor([0, 1]), points=torch.tensor([[25.0, 20], [50, 45]])
    )[:masks]
    sample.dropped_points = InstanceData(
        points=torch.tensor([[70.0, 10]]), labels=torch.tensor([1]), reasons=['no_region']
    )[:dropped]
    if maps:
        semantic = pred_masks[0] + 2 * pred_masks[1].long()
        weak = torch.full((2 * HEIGHT + 20, 2 * WIDTH + 20), 255)
        weak[: 2 * HEIGHT, : 2 * WIDTH] = semantic.repeat_interleave(2, 0).repeat_interleave(2, 1)
        sample.gt_sem_seg = PixelData(sem_seg=weak[None])
        sample.pred_sem_seg = PixelData(sem_seg=semantic[None])
        sample.pred_offset = PixelData(
            offset=torch.tensor([24.0, 7.0])[:, None, None].expand(2, HEIGHT, WIDTH)
        )
    return sample


# 25 is the length of (24, 7)
OFFSET_TITLE = 'offset field, rim of the wheel = 25 px'
IMAGE = np.full((HEIGHT, WIDTH, 3), 90, dtype=np.uint8)


def test_panels_of_a_full_sample():
    truth = [
        {'segmentation': [[10, 10, 40, 10, 40, 30, 10, 30]], 'iscrowd': 0},
        {'segmentation': encode_rle(np.ones((HEIGHT, WIDTH), bool)), 'iscrowd': 1},
    ]
    panels = dict(stage1_panels(IMAGE, make_sample(), truth, palette=PALETTE))
    assert list(panels) == [
        'image and points',
        'weak map',
        'predicted map',
        OFFSET_TITLE,
        'instances',
        'truth, instances outlined',
    ]
    assert all(panel.shape == IMAGE.shape for panel in panels.values())
    assert all(panel.dtype == np.uint8 for panel in panels.values())
    points = panels['image and points']
    assert tuple(points[20, 25]) == PALETTE[0]
    assert tuple(points[45, 50]) == tuple(points[10, 70]) == PALETTE[1]
    assert tuple(panels['predicted map'][20, 25]) == PALETTE[0]
    assert not np.array_equal(panels['instances'][12, 12], IMAGE[12, 12])
    assert np.array_equal(
        panels['truth, instances outlined'][45, 50], IMAGE[45, 50]
    )  # crowds are not drawn
    assert not np.array_equal(panels['truth, instances outlined'][12, 12], IMAGE[12, 12])


def test_weak_map_is_brought_into_the_frame_of_the_image():
    panels = dict(stage1_panels(IMAGE, make_sample(), palette=PALETTE))
    assert np.array_equal(panels['weak map'], panels['predicted map'])


def test_offsets_are_shown_where_there_is_a_class():
    field = dict(stage1_panels(IMAGE, make_sample()))[OFFSET_TITLE]
    assert not field[5, 5].any()
    assert field[20, 25].any()


def test_panels_without_maps_instances_or_points():
    panels = dict(stage1_panels(IMAGE, make_sample(maps=False)))
    assert list(panels) == ['image and points', 'instances']
    empty = dict(stage1_panels(IMAGE, make_sample(maps=False, masks=0, dropped=0), []))
    assert all(np.array_equal(panel, IMAGE) for panel in empty.values())
    assert list(empty) == ['image and points', 'instances', 'truth, instances outlined']


def test_the_truth_is_compared_with_the_outlines_of_the_instances():
    square = [{'segmentation': [[0, 0, 5, 0, 5, 5, 0, 5]], 'iscrowd': 0}]
    panel = dict(stage1_panels(IMAGE, make_sample(), square))['truth, instances outlined']
    assert panel[10, 20].tolist() == [255, 255, 255]  # upper border of the first instance
    assert np.array_equal(panel[20, 20], IMAGE[20, 20])


def test_a_sample_without_predictions_shows_what_was_clicked():
    sample = make_sample()
    clicks = InstanceData(points=torch.tensor([[25.0, 20]]), labels=torch.tensor([1]))
    sample = DetDataSample(metainfo=sample.metainfo, gt_sem_seg=sample.gt_sem_seg)
    sample.ori_points = clicks
    panels = dict(stage1_panels(IMAGE, sample, palette=PALETTE))
    assert list(panels) == ['image and points', 'weak map']
    assert tuple(panels['image and points'][20, 25]) == PALETTE[1]


def test_picture_has_three_panels_in_a_row():
    full = draw_stage1(IMAGE, make_sample())
    part = draw_stage1(IMAGE, make_sample(maps=False))
    assert full.shape[0] > 640 > part.shape[0]
    assert full.shape[1] > part.shape[1]


def test_maps_of_another_frame_are_refused():
    sample = make_sample()
    sample.pred_offset = PixelData(offset=torch.zeros(2, 30, 40))
    with pytest.raises(ValueError, match=r'pred_offset of the image size \(60, 80\), got \(30, 40'):
        stage1_panels(IMAGE, sample)
