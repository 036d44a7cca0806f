import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData, PixelData

from mmp2seg.codecs import PointInstances
from mmp2seg.codecs.data_samples import (
    add_instances,
    decode_given,
    image_points,
    original_given_masks,
    require_original_points,
)
from mmp2seg.ops.rle import encode_rle

POINTS = InstanceData(
    points=torch.tensor([[0.5, 1 / 3], [2.5, 0.1], [9.0, 9.0]], dtype=torch.float64),
    labels=torch.tensor([1, 0, 0]),
    point_ids=torch.tensor([7, 5, 4]),
)


def test_instances_have_the_numbers_of_the_file():
    sample = DetDataSample(ori_points=POINTS)
    masks = torch.zeros(2, 2, 4, dtype=torch.bool)
    masks[0, 0, 1:], masks[1, 1, :2] = True, True
    instances = PointInstances(
        masks=masks,
        scores=torch.tensor([0.5, 0.25]),
        kept=torch.tensor([1, 0]),
        dropped=torch.tensor([2]),
        reasons=['outside_image'],
        semantic_map=torch.zeros(2, 4, dtype=torch.int64),
        confidence=torch.ones(2, 4),
    )
    add_instances(sample, instances)
    kept, dropped = sample.pred_instances, sample.dropped_points
    assert torch.equal(kept.masks, masks)
    assert kept.bboxes.tolist() == [[1, 0, 4, 1], [0, 1, 2, 2]]
    assert kept.scores.tolist() == [0.5, 0.25]
    assert (kept.labels.tolist(), kept.point_ids.tolist()) == ([0, 1], [5, 7])
    assert kept.points.tolist() == [[2.5, 0.1], [0.5, 1 / 3]]
    assert dropped.points.tolist() == [[9.0, 9.0]]
    assert (dropped.labels.tolist(), dropped.point_ids.tolist()) == ([0], [4])
    assert dropped.reasons == ['outside_image']


def test_points_and_regions_of_a_training_sample():
    sample = DetDataSample(
        gt_instances=InstanceData(points=torch.rand(2, 2), labels=torch.tensor([0, 1])),
        gt_region_map=PixelData(region_map=torch.ones(1, 3, 4, dtype=torch.int32)),
        gt_regions=InstanceData(labels=torch.tensor([1]), areas=torch.tensor([12])),
    )
    image = image_points(sample)
    assert torch.equal(image.points_xy, sample.gt_instances.points)
    assert image.regions.region_map.shape == (3, 4)
    assert (image.regions.labels.tolist(), image.regions.areas.tolist()) == ([1], [12])


def test_samples_of_other_pipelines_say_what_is_missing():
    with pytest.raises(ValueError, match=r'gt_region_map: .* mmp2seg\.FindRegions'):
        image_points(DetDataSample())
    with pytest.raises(ValueError, match=r'ori_points: .* mmp2seg\.LoadPointAnnotations'):
        require_original_points(DetDataSample())


def test_true_masks_of_the_original_points():
    """One mask and one box, as RLE of the file; results say which is which."""
    mask, box = np.eye(2, 4, dtype=bool), np.ones((2, 4), bool)
    points = InstanceData(
        **dict(POINTS.items()),
        supervision=['point', 'mask', 'box'],
        given=[None, encode_rle(mask), encode_rle(box)],
    )
    sample = DetDataSample(ori_points=points)
    given = original_given_masks(sample, torch.device('cpu'))
    assert given.points.tolist() == [1, 2] and given.is_mask.tolist() == [True, False]
    assert np.array_equal(given.limits.numpy(), [mask, box])
    add_instances(
        sample,
        PointInstances(
            masks=torch.ones(2, 2, 4, dtype=torch.bool),
            scores=torch.ones(2),
            kept=torch.tensor([0, 2]),
            dropped=torch.tensor([1]),
            reasons=['no_pixels'],
            semantic_map=torch.zeros(2, 4, dtype=torch.int64),
            confidence=torch.ones(2, 4),
        ),
    )
    assert sample.pred_instances.supervision == ['point', 'box']


def test_points_alone_have_no_masks():
    assert original_given_masks(DetDataSample(ori_points=POINTS), torch.device('cpu')) is None
    assert decode_given(['point'], [None], device=torch.device('cpu')) is None
