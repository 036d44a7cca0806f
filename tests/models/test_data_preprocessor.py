import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData, PixelData

from mmp2seg.models.data_preprocessor import pad_pixel_fields
from mmp2seg.registry import MODELS


def _sample(height, width):
    ones = torch.ones(1, height, width)
    return DetDataSample(
        gt_instances=InstanceData(points=torch.zeros(1, 2)),
        gt_sem_seg=PixelData(sem_seg=torch.zeros(1, height, width, dtype=torch.uint8)),
        gt_region_map=PixelData(region_map=ones.int()),
    )


def _process(training):
    preprocessor = MODELS.build(dict(type='mmp2seg.PointDataPreprocessor', pad_size_divisor=4))
    sizes = [(4, 6), (7, 5)]
    return preprocessor(
        dict(
            inputs=[torch.zeros(3, *size, dtype=torch.uint8) for size in sizes],
            data_samples=[_sample(*size) for size in sizes],
        ),
        training=training,
    )


def test_padding_is_ignore_and_no_region():
    data = _process(training=True)
    assert data['inputs'].shape == (2, 3, 8, 8)
    for sample, (height, width) in zip(data['data_samples'], [(4, 6), (7, 5)]):
        semantic_map = sample.gt_sem_seg.sem_seg
        assert semantic_map.shape == (1, 8, 8)
        assert (semantic_map[:, :height, :width] == 0).all()
        assert (semantic_map == 255).sum() == 64 - height * width
        region_map = sample.gt_region_map.region_map
        assert region_map.shape == (1, 8, 8) and region_map.dtype == torch.int32
        assert region_map[:, :height, :width].all()
        assert region_map.sum() == height * width


def test_inference_keeps_the_maps_and_missing_fields_are_fine():
    assert _process(training=False)['data_samples'][0].gt_sem_seg.sem_seg.shape == (1, 4, 6)
    preprocessor = MODELS.build(dict(type='mmp2seg.PointDataPreprocessor'))
    data = dict(inputs=[torch.zeros(3, 2, 2)], data_samples=[DetDataSample()])
    assert 'gt_sem_seg' not in preprocessor(data, training=True)['data_samples'][0]


def test_pixels_of_true_masks_are_padded_with_none():
    sample = _sample(4, 6)
    sample.gt_given_masks = PixelData(limits=torch.ones(2, 4, 6, dtype=torch.bool))
    preprocessor = MODELS.build(dict(type='mmp2seg.PointDataPreprocessor', pad_size_divisor=4))
    data = dict(inputs=[torch.zeros(3, 4, 6, dtype=torch.uint8)], data_samples=[sample])
    (padded,) = preprocessor(data, training=True)['data_samples']
    limits = padded.gt_given_masks.limits
    assert limits.shape == (2, 4, 8) and limits.dtype == torch.bool
    assert limits[:, :, :6].all() and not limits[:, :, 6:].any()


@pytest.mark.parametrize(
    ('device', 'options', 'expected'),
    [
        ('cuda', {}, True),
        ('cuda', dict(non_blocking=False), False),
        ('cpu', {}, False),
        ('mps', {}, False),
    ],
)
def test_copies_to_cuda_alone_do_not_wait(device, options, expected):
    config = dict(type='mmp2seg.PointDataPreprocessor', pad_size_divisor=4, **options)
    preprocessor, copies = MODELS.build(config), []
    preprocessor._device = torch.device(device)

    class Noting(torch.Tensor):
        def to(self, device, *, non_blocking):
            copies.append((device.type, non_blocking))
            return self

    preprocessor.cast_data([torch.zeros(2).as_subclass(Noting)])
    assert copies == [(device, expected)]


def test_what_fills_the_batch_stays_as_it_is():
    sample = _sample(4, 6)
    maps = sample.gt_sem_seg, sample.gt_region_map
    pad_pixel_fields(sample, size=(4, 6))
    assert all(one is other for one, other in zip((sample.gt_sem_seg, sample.gt_region_map), maps))
    pad_pixel_fields(sample, size=(4, 8))
    assert sample.gt_sem_seg.shape == sample.gt_region_map.shape == (4, 8)
