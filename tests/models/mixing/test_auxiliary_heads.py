import pytest
import torch
from mmengine.structures import InstanceData, PixelData
from mmseg.structures import SegDataSample

from mmp2seg.models.losses import AffinityLoss, OffsetLoss
from mmp2seg.models.mixing import AffinityAuxHead, OffsetAuxHead
from mmp2seg.ops.components import find_regions
from mmp2seg.ops.coords import pixel_centers

POINT = [0.5, 2.25]
FEATURES = [torch.rand(2, 4, 3, 4), torch.rand(2, 6, 2, 2)]


def _sample(size, *, padded=(6, 8), with_point=True):
    """An instance in the upper left corner, a background stripe, and a class without a point."""
    semantic_map = torch.full((1, *padded), 255)
    semantic_map[:, : size[0], : size[1]] = 2
    semantic_map[:, : size[0], size[1] - 2 : size[1]] = 0
    semantic_map[:, :3, :3] = 1
    sample = SegDataSample()
    sample.gt_sem_seg = PixelData(data=semantic_map)
    points = torch.tensor([POINT] if with_point else []).reshape(-1, 2)
    labels = torch.zeros(len(points), dtype=torch.int64)
    sample.gt_instances = InstanceData(points=points, labels=labels)
    regions = find_regions(semantic_map[0, : size[0], : size[1]].numpy(), labels.numpy())
    sample.gt_region_map = PixelData(region_map=regions.region_map[None])
    sample.gt_regions = InstanceData(labels=regions.labels, areas=regions.areas)
    return sample


def _head(kind, **options):
    torch.manual_seed(0)
    return kind(in_channels=4, channels=8, **options)


def test_offset_loss_is_that_of_padded_targets():
    head = _head(OffsetAuxHead, loss_decode=dict(type='mmp2seg.OffsetLoss', loss_weight=0.5))
    samples = [_sample((6, 8)), _sample((5, 6))]
    losses = head.loss(FEATURES, samples, {})
    offset = head.predict_by_feat(head(FEATURES), (6, 8))
    target, weight = torch.zeros(2, 2, 6, 8), torch.zeros(2, 6, 8)
    centers = pixel_centers(6, 8)[:, :3, :3]
    target[:, :, :3, :3] = torch.tensor(POINT)[:, None, None] - centers
    weight[:, :3, :3] = 1
    expected = OffsetLoss(loss_weight=0.5)(offset, target, weight)
    assert losses.keys() == {'loss_offset'}
    assert torch.equal(losses['loss_offset'], expected)
    expected.backward()
    assert head.predictor.weight.grad.abs().sum() > 0


def test_affinity_loss_leaves_out_what_is_neither_background_nor_instance():
    options = dict(background='instance', loss_weight=0.5)
    head = _head(AffinityAuxHead, loss_decode=dict(type='mmp2seg.AffinityLoss', **options))
    losses = head.loss(FEATURES, [_sample((6, 8)), _sample((5, 6))])
    maps = torch.full((2, 1, 6, 8), -1, dtype=torch.int32)
    maps[0, :, :, 6:], maps[1, :, :5, 4:6], maps[..., :3, :3] = 0, 0, 1
    expected = AffinityLoss(**options)(head(FEATURES), maps)
    assert losses.keys() == {'loss_affinity'}
    assert torch.equal(losses['loss_affinity'], expected)


@pytest.mark.parametrize('kind', [OffsetAuxHead, AffinityAuxHead])
def test_a_sample_without_targets_says_what_is_missing(kind):
    sample = SegDataSample()
    sample.gt_sem_seg = PixelData(data=torch.zeros(1, 6, 8))
    with pytest.raises(ValueError, match=r'mmp2seg\.FindRegions and mmp2seg\.PackPointInputs'):
        _head(kind).loss(FEATURES, [sample])


@pytest.mark.parametrize('kind', [OffsetAuxHead, AffinityAuxHead])
def test_images_without_points_give_a_zero_with_graph(kind):
    sample = _sample((6, 8), with_point=False)
    (loss,) = _head(kind).loss([feature[:1] for feature in FEATURES], [sample]).values()
    loss.backward()
    assert loss.item() == 0


@pytest.mark.parametrize('kind', [OffsetAuxHead, AffinityAuxHead])
def test_the_labeler_decides_about_regions(kind):
    head = _head(kind, labeler=dict(min_region_area=10))  # the region has 9 pixels
    (loss,) = head.loss(FEATURES[:1], [_sample((6, 8)), _sample((5, 6))]).values()
    assert loss.item() == 0
