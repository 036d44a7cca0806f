import errno
import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.registry import VISUALIZERS
from mmengine.structures import InstanceData
from mmengine.visualization import Visualizer

from mmp2seg.visualization.panels import draw_points, panel_row
from mmp2seg.visualization.points_visualizer import PointsVisualizer
from mmp2seg.visualization.stage1_panels import draw_stage1

HEIGHT, WIDTH = 30, 40
IMAGE = np.full((HEIGHT, WIDTH, 3), (90, 60, 30), np.uint8)
TRUTH = {'segmentation': [[20, 10, 30, 10, 30, 20, 20, 20]], 'iscrowd': 0}
META = {'img_id': 7, 'ori_shape': (HEIGHT, WIDTH), 'img_shape': (2 * HEIGHT, 2 * WIDTH)}


@pytest.fixture
def make_visualizer(tmp_path, monkeypatch):
    """Returns a function that builds a visualizer which writes below ``tmp_path``."""
    monkeypatch.setattr(Visualizer, '_instance_dict', {})
    monkeypatch.setattr(PointsVisualizer, '_instance_dict', {})

    def make(**options):
        config = dict(
            type='mmp2seg.PointsVisualizer',
            name='points',
            vis_backends=[dict(type='LocalVisBackend')],
            save_dir=str(tmp_path),
            **options,
        )
        visualizer = VISUALIZERS.build(config)
        visualizer.dataset_meta = dict(classes=('a', 'b'), palette=[(1, 2, 3), (200, 0, 99)])
        return visualizer

    return make


def make_sample():
    masks = torch.zeros(1, HEIGHT, WIDTH, dtype=torch.bool)
    masks[:, 5:15, 5:15] = True
    clicks = InstanceData(points=torch.tensor([[10.0, 10]]), labels=torch.tensor([1]))
    found = InstanceData(masks=masks, scores=torch.ones(1), **dict(clicks.items()))
    sample = DetDataSample(metainfo=META)
    sample.ori_points, sample.pred_instances = clicks, found
    return sample


def read(path):
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def expected(truth=None):
    return draw_stage1(IMAGE, make_sample(), truth, palette=[(1, 2, 3), (200, 0, 99)])


def test_pictures_go_to_the_backends_and_to_files(make_visualizer, tmp_path):
    visualizer = make_visualizer()
    visualizer.add_datasample('val_3', IMAGE, make_sample(), step=20)
    (logged,) = tmp_path.rglob('*.png')
    assert logged.name == 'val_3_20.png'
    assert np.array_equal(read(logged), expected())
    assert np.array_equal(visualizer.get_image(), expected())
    visualizer.add_datasample('x', IMAGE, make_sample(), out_file=str(tmp_path / 'a' / '1.png'))
    assert np.array_equal(read(tmp_path / 'a' / '1.png'), expected())
    assert len([*tmp_path.rglob('*.png')]) == 2


def test_truth_of_a_file(make_visualizer, tmp_path):
    path = tmp_path / 'truth.json'
    image = dict(id=7, file_name='a.png', height=HEIGHT, width=WIDTH)
    annotation = dict(TRUTH, id=1, image_id=7, category_id=1)
    path.write_text(
        json.dumps(
            dict(images=[image], categories=[dict(id=1, name='a')], annotations=[annotation])
        )
    )
    visualizer = make_visualizer(truth_file=str(path))
    visualizer.add_datasample('x', IMAGE, make_sample())
    assert np.array_equal(visualizer.get_image(), expected([TRUTH]))
    visualizer.add_datasample('x', IMAGE, make_sample(), draw_gt=False)
    assert np.array_equal(visualizer.get_image(), expected())


@pytest.mark.parametrize('kind', [torch.tensor, lambda array: BitmapMasks(array, *array.shape[1:])])
def test_truth_of_the_sample_is_in_the_frame_of_the_input(make_visualizer, kind):
    masks = np.zeros((1, 2 * HEIGHT, 2 * WIDTH), np.uint8)
    masks[:, 20:40, 40:60] = 1
    sample = make_sample()
    sample.gt_instances = InstanceData(masks=kind(masks))
    visualizer = make_visualizer()
    visualizer.add_datasample('y', IMAGE, sample)
    assert np.array_equal(visualizer.get_image(), expected([TRUTH]))


def test_without_predictions_the_clicks_are_drawn(make_visualizer):
    visualizer = make_visualizer()
    sample = make_sample()
    visualizer.add_datasample('x', IMAGE, sample, draw_pred=False)
    clicks = draw_points(IMAGE, np.array([[10.0, 10]]), [1], [(1, 2, 3), (200, 0, 99)])
    assert np.array_equal(visualizer.get_image(), panel_row([('image and points', clicks)]))
    assert 'pred_instances' in sample


def test_samples_without_points_are_drawn_as_in_mmdet(make_visualizer):
    visualizer = make_visualizer()
    sample = DetDataSample(metainfo=META)
    sample.pred_instances = InstanceData(
        bboxes=torch.tensor([[5.0, 5, 30, 25]]), labels=torch.tensor([0]), scores=torch.ones(1)
    )
    visualizer.add_datasample('y', IMAGE, sample)
    before, after = np.split(visualizer.get_image(), 2, axis=1)  # truth and prediction
    assert np.array_equal(before, IMAGE)
    assert not np.array_equal(after, IMAGE)


@pytest.mark.parametrize('with_points', [True, False])
def test_without_a_display_nothing_waits_for_a_key(make_visualizer, with_points, monkeypatch):
    """mmengine itself would wait forever."""
    pyplot = pytest.importorskip('matplotlib.pyplot')
    monkeypatch.setattr(pyplot, 'get_backend', lambda: 'agg')
    visualizer = make_visualizer()
    monkeypatch.setattr(visualizer, 'show', None)
    sample = make_sample() if with_points else DetDataSample(metainfo=META)
    with pytest.warns(UserWarning, match='test_0: not shown, as there is no display'):
        visualizer.add_datasample('test_0', IMAGE, sample, show=True)


def test_pictures_of_other_samples_are_written_atomically(make_visualizer, tmp_path, monkeypatch):
    """mmdet would write with OpenCV, which is silent if the disk is full."""
    visualizer = make_visualizer()
    sample = DetDataSample(metainfo=dict(img_id=7))
    visualizer.add_datasample('x', IMAGE, sample, out_file=str(tmp_path / 'a' / '1.png'))
    assert np.array_equal(read(tmp_path / 'a' / '1.png'), visualizer.get_image())
    visualizer.add_datasample('y', IMAGE, sample)
    assert len([*tmp_path.rglob('*.png')]) == 2  # the backends got the second one alone

    def full_disk(path, data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, 'write_bytes', full_disk)
    with pytest.raises(OSError, match=r'No space left on device.*2\.png'):
        visualizer.add_datasample('x', IMAGE, sample, out_file=str(tmp_path / 'a' / '2.png'))
    assert not (tmp_path / 'a' / '2.png').exists()
