import numpy as np
import pytest
import torch
from mmcv.transforms import Compose
from mmengine.registry import DefaultScope

from mmp2seg.datasets import PointVOCDataset
from mmp2seg.testing import write_tiny_voc

TRAIN = [
    dict(type='LoadImageFromFile'),
    dict(type='mmp2seg.LoadPointAnnotations'),
    dict(type='mmp2seg.FindRegions'),
    dict(type='mmp2seg.PackPointInputs'),
]


@pytest.mark.parametrize('scope', ['mmdet', 'mmseg', 'mmp2seg'])
def test_a_packed_training_sample_has_every_field(tmp_path, scope):
    with DefaultScope.overwrite_default_scope(scope):
        dataset = PointVOCDataset(**write_tiny_voc(tmp_path), pipeline=TRAIN)
        packed = dataset[0]
    sample = packed['data_samples']
    assert packed['inputs'].shape == (3, 40, 48)
    assert packed['inputs'].dtype == torch.uint8
    assert sample.gt_instances.points.tolist() == [[8.5, 8.5], [23.5, 8.5], [14.5, 25.5]]
    assert sample.gt_instances.labels.tolist() == [0, 0, 1]
    assert sample.gt_instances.point_ids.tolist() == [0, 1, 2]
    assert sample.gt_sem_seg.sem_seg.shape == (1, 40, 48)
    assert sample.gt_region_map.region_map.shape == (1, 40, 48)
    assert sample.gt_regions.labels.tolist() == [0, 1]
    assert sample.gt_regions.areas.tolist() == [8 * 24, 100]
    assert sample.ori_points.points.dtype == torch.float64
    assert sample.ori_points.points.tolist() == sample.gt_instances.points.tolist()
    assert torch.equal(sample.ori_points.point_ids, sample.gt_instances.point_ids)
    assert sample.metainfo['file_name'] == 'img_1.jpg'
    assert sample.metainfo['ori_shape'] == (40, 48)


def test_image_classes_follow_the_crop(tmp_path):
    """A region whose point was cropped away has no target."""
    crop = dict(type='mmdet.RandomCrop', crop_size=(40, 20), allow_negative_crop=True)
    dataset = PointVOCDataset(**write_tiny_voc(tmp_path))
    load = Compose(TRAIN[:2])
    results = load(dataset.get_data_info(0))
    with DefaultScope.overwrite_default_scope('mmdet'):
        crop = Compose([crop])
    crop.transforms[0]._rand_offset = lambda margin: (0, 24)  # x from 24: both bar points are left
    results = Compose(TRAIN[2:])(crop(results))
    sample = results['data_samples']
    assert sample.gt_instances.points.shape == (0, 2)
    assert (sample.gt_sem_seg.sem_seg == 1).any()
    assert len(sample.gt_regions) == 0
    # The points of the file stay as they are.
    assert sample.ori_points.points.tolist() == [[8.5, 8.5], [23.5, 8.5], [14.5, 25.5]]


def test_a_test_sample_needs_no_map(tmp_path):
    pipeline = [TRAIN[0], dict(type='mmp2seg.LoadPointAnnotations', with_seg=False), TRAIN[-1]]
    sample = PointVOCDataset(**write_tiny_voc(tmp_path), pipeline=pipeline)[2]['data_samples']
    assert sample.gt_instances.points.shape == (0, 2)
    assert 'gt_sem_seg' not in sample
    assert 'gt_region_map' not in sample and 'gt_regions' not in sample


def test_flipped_views_are_copied(tmp_path):
    dataset = PointVOCDataset(**write_tiny_voc(tmp_path))
    results = Compose(TRAIN[:2])(dataset.get_data_info(0))
    mirrored = {**results, 'img': results['img'][:, ::-1]}
    packed = Compose(TRAIN[-1:])(mirrored)
    assert np.array_equal(packed['inputs'][0].numpy(), results['img'][:, ::-1, 0])
