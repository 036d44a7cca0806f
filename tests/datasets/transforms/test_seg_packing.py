import pytest
import torch
from mmengine.registry import DefaultScope
from mmseg.models import SegDataPreProcessor
from mmseg.structures import SegDataSample

# Registered by the package as soon as its __init__ files name it.
from mmp2seg.datasets import PointVOCDataset
from mmp2seg.datasets.transforms.seg_packing import PackSegPointInputs

LOAD = [dict(type='mmcv.LoadImageFromFile'), dict(type='mmp2seg.LoadPointAnnotations')]
REGIONS = dict(type='mmp2seg.FindRegions')


@pytest.mark.parametrize('scope', ['mmdet', 'mmseg', 'mmp2seg'])
def test_the_sample_has_what_mmseg_and_our_heads_read(tiny_voc, scope):
    pipeline = [*LOAD, REGIONS, dict(type='mmp2seg.PackSegPointInputs')]
    with DefaultScope.overwrite_default_scope(scope):
        ours = PointVOCDataset(**tiny_voc[1], pipeline=pipeline)[0]
        plain = PointVOCDataset(
            **tiny_voc[1], pipeline=[*pipeline[:-1], dict(type='mmp2seg.PackPointInputs')]
        )[0]
    sample, expected = ours['data_samples'], plain['data_samples']
    assert type(sample) is SegDataSample
    assert torch.equal(ours['inputs'], plain['inputs'])
    assert sample.metainfo == expected.metainfo
    assert sample.gt_sem_seg.data.dtype == torch.int64
    assert torch.equal(sample.gt_sem_seg.data, expected.gt_sem_seg.sem_seg.long())
    assert torch.equal(sample.gt_instances.points, expected.gt_instances.points)
    assert torch.equal(sample.gt_region_map.region_map, expected.gt_region_map.region_map)
    assert torch.equal(sample.gt_regions.labels, expected.gt_regions.labels)
    assert torch.equal(sample.ori_points.points, expected.ori_points.points)


def test_mmsegs_pre_processor_takes_it(tiny_voc):
    pipeline = [*LOAD, REGIONS, PackSegPointInputs()]
    dataset = PointVOCDataset(**tiny_voc[1], pipeline=pipeline)
    items = [dataset[0], dataset[2]]
    batch = {key: [item[key] for item in items] for key in items[0]}
    batch = SegDataPreProcessor(size=(64, 64))(batch, training=True)
    assert batch['inputs'].shape == (2, 3, 64, 64)
    (sample, _) = batch['data_samples']
    assert sample.gt_sem_seg.shape == (64, 64)
    assert (sample.gt_sem_seg.data[:, 40:] == 255).all()


def test_without_map_and_regions_it_packs_the_points(tiny_voc):
    load = [LOAD[0], dict(type='mmp2seg.LoadPointAnnotations', with_seg=False)]
    sample = PointVOCDataset(**tiny_voc[1], pipeline=[*load, PackSegPointInputs()])[0]
    sample = sample['data_samples']
    assert 'gt_sem_seg' not in sample and 'gt_region_map' not in sample
    assert len(sample.gt_instances.points) == 3
