import numpy as np
import pytest
import torch
from mmcv.transforms import Compose
from mmengine.registry import DefaultScope

from mmp2seg.codecs.data_samples import image_points
from mmp2seg.datasets import PointVOCDataset
from mmp2seg.ops.rle import encode_rle
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


def _with_masks(info):
    """The first point has a mask, the third a box; the second is a point alone."""
    mask, box = np.zeros((40, 48), bool), np.zeros((40, 48), bool)
    mask[4:13, 4:16], box[20:32, 10:20] = True, True
    first, second, third = info['instances']
    given = [
        dict(first, supervision='mask', mask=encode_rle(mask)),
        second,
        dict(third, supervision='box', mask=encode_rle(box)),
    ]
    return {**info, 'instances': given}


def test_true_masks_follow_their_points(tmp_path):
    """Resized, cropped, flipped and padded; the second point and its neighbours are cut off."""
    dataset = PointVOCDataset(**write_tiny_voc(tmp_path))
    steps = [
        dict(type='Resize', scale_factor=2.0),
        dict(type='RandomCrop', crop_size=(40, 80), allow_negative_crop=True),
        dict(type='RandomFlip', prob=1.0),
        dict(type='Pad', size=(44, 84), pad_val=dict(img=0, seg=255)),
    ]
    with DefaultScope.overwrite_default_scope('mmdet'):
        geometric = Compose(steps)
    geometric.transforms[1]._rand_offset = lambda margin: (0, 0)
    results = Compose(TRAIN[:2])(_with_masks(dataset.get_data_info(0)))
    sample = Compose(TRAIN[2:])(geometric(results))['data_samples']
    assert sample.gt_instances.point_ids.tolist() == [0, 2]
    assert sample.gt_given.indices.tolist() == [0, 1]
    assert sample.gt_given.is_mask.tolist() == [True, False]
    limits = sample.gt_given_masks.limits
    assert limits.shape == (2, 84, 44) and limits.dtype == torch.bool
    expected = torch.zeros(2, 84, 44, dtype=torch.bool)
    expected[0, 8:26, 8:32] = True  # the columns 8..32 of 40, mirrored
    expected[1, 40:64, 0:20] = True
    assert torch.equal(limits, expected)
    assert (sample.gt_sem_seg.sem_seg[0][limits[0]] == 1).all()
    given = image_points(sample).given
    assert torch.equal(given.limits, limits)


def test_a_crop_without_the_masks_has_none(tmp_path):
    dataset = PointVOCDataset(**write_tiny_voc(tmp_path))
    results = Compose(TRAIN[:2])(_with_masks(dataset.get_data_info(0)))
    for key in ('gt_bboxes', 'gt_bboxes_labels', 'gt_instances_ids', 'gt_masks'):
        results[key] = results[key][np.array([1])]
    sample = Compose(TRAIN[2:])(results)['data_samples']
    assert sample.gt_given_masks.limits.shape == (0, 40, 48)
    assert image_points(sample).given is None
