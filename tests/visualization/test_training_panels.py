import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData, PixelData

from mmp2seg.codecs import PointPseudoLabeler
from mmp2seg.ops.components import find_regions
from mmp2seg.visualization.panels import distinct_colors
from mmp2seg.visualization.training_panels import RefinedTargets, training_panels

PALETTE = [(200, 10, 20), (30, 210, 40)]
IMAGE = np.full((40, 60, 3), 90, np.uint8)


def make_sample(*, with_regions=True):
    """A region of class 0 with two points, and one of class 1 without."""
    semantic_map = np.zeros((40, 60), np.uint8)
    semantic_map[5:20, 5:45] = 1
    semantic_map[25:38, 30:50] = 2
    labels = torch.tensor([0, 0])
    sample = DetDataSample()
    sample.gt_instances = InstanceData(points=torch.tensor([[12.5, 12], [36.5, 12]]), labels=labels)
    sample.gt_sem_seg = PixelData(sem_seg=torch.from_numpy(semantic_map)[None])
    if with_regions:
        regions = find_regions(semantic_map, np.array([0, 0, 1]))
        sample.gt_region_map = PixelData(region_map=regions.region_map[None])
        sample.gt_regions = InstanceData(labels=regions.labels, areas=regions.areas)
    return sample


def draw(**options):
    labeler = PointPseudoLabeler()
    return dict(training_panels(IMAGE, make_sample(), labeler, palette=PALETTE, **options))


def mix(color):
    return [round((90 + value) / 2) for value in color]


def test_initial_targets():
    panels = draw()
    assert [title.split(',')[0] for title in panels] == [
        'augmented image and points',
        'weak map',
        'regions',
        'initial instances',
        'initial offsets',
    ]
    assert all(panel.shape == IMAGE.shape for panel in panels.values())
    regions = panels['regions, grey: no point']
    assert regions[30, 40].tolist() == mix((128, 128, 128))
    assert regions[17, 20].tolist() == regions[17, 30].tolist() != [90] * 3
    instances = panels['initial instances']
    first, second = distinct_colors(2)
    assert np.abs(instances[17, 10] - np.array(mix(first))).max() <= 1
    assert np.abs(instances[17, 40] - np.array(mix(second))).max() <= 1
    assert instances[30, 40].tolist() == [90] * 3  # the region without a point
    (field,) = (panel for title, panel in panels.items() if title.startswith('initial offsets'))
    assert not field[2, 20].any() and field[10, 7].any()


@pytest.mark.parametrize('with_map', [True, False])
def test_refined_targets(with_map):
    instance_map = np.full((40, 60), -1)
    instance_map[:, 20:30] = 2
    semantic_map = np.full((40, 60), 2, np.uint8) if with_map else None
    weight = (instance_map > 0).astype(np.float32)
    offset = np.ones((2, 40, 60), np.float32)
    panels = draw(refined=RefinedTargets(instance_map, offset, weight, semantic_map))
    names = [title.split(',')[0] for title in panels][5:]
    assert names == ['refined map S'] * with_map + ['refined instances', 'refined offsets']
    refined = panels['refined instances']
    assert np.abs(refined[30, 25] - np.array(mix(distinct_colors(2)[1]))).max() <= 1
    assert refined[30, 50].tolist() == [90] * 3
    if with_map:
        assert panels['refined map S'][0, 0].tolist() == list(PALETTE[1])


def test_a_sample_without_regions_is_refused():
    with pytest.raises(ValueError, match=r'mmp2seg\.FindRegions'):
        sample = make_sample(with_regions=False)
        training_panels(IMAGE, sample, PointPseudoLabeler(), palette=PALETTE)
