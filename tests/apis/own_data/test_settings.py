import math

import pytest

from mmp2seg.apis.own_data.settings import (
    DataFigures,
    figures_of,
    stage1_settings,
    stage2_settings,
    wants_class_head,
)

NUTS = DataFigures(num_images=18, long_side=800, spacing=120)


def large(num_images):
    return DataFigures(num_images=num_images, long_side=800, spacing=120)


def test_figures_of_a_point_json():
    content = dict(
        images=[
            dict(id=1, width=100, height=40),
            dict(id=2, width=10, height=60),
            dict(id=3, width=80, height=80),
        ],
        annotations=[
            dict(image_id=1, point=[1, 1]),
            dict(image_id=1, point=[4, 5]),
            dict(image_id=2, point=[1, 1]),
        ],
    )
    assert figures_of(content) == DataFigures(num_images=3, long_side=80, spacing=5)
    content['annotations'] = content['annotations'][2:]
    assert figures_of(content).spacing == math.inf


def test_small_sets_have_the_measured_settings():
    one, two = (f(NUTS, device='cpu') for f in (stage1_settings, stage2_settings))
    assert one.base == 'p2seg/efficientnet-lite0_own_data.py' and one.max_iters == 500
    assert two.base == 'refine/mask-rcnn_efficientnet-lite0_own_data.py' and two.max_iters == 600
    for settings in (one, two):
        assert 'CPU' in settings.base_reason
        assert settings.iters_reason == 'those of the base, of 4 images each'
        assert settings.sizes is settings.test_size is None and not settings.sizes_reason
    assert one.refines and not two.refines


@pytest.mark.parametrize(
    ('num_images', 'first', 'second'),
    [
        (121, 500, 600),
        (200, 800, 600),
        (201, 900, 700),
        (1000, 4000, 3000),
        (10**5, 5000, 6000),
    ],
)
def test_iterations_grow_with_the_images_within_limits(num_images, first, second):
    one = stage1_settings(large(num_images), device='cpu')
    two = stage2_settings(large(num_images), device='cpu')
    assert (one.max_iters, two.max_iters) == (first, second)
    if num_images == 1000:
        assert one.iters_reason.startswith('16 epochs of 1000 images, 4 at a time: as many as 500')
        assert 'at most' not in one.iters_reason
    if num_images == 10**5:
        assert one.iters_reason.endswith('at most 5000 iterations')


def test_a_gpu_gets_large_networks():
    one, two = (f(NUTS, device='cuda') for f in (stage1_settings, stage2_settings))
    assert (one.base, one.max_iters) == ('p2seg/hrnet48_own_data.py', 5000)
    assert (two.base, two.max_iters) == ('refine/mask-rcnn_r50_fpn_own_data.py', 1500)
    assert 'GPU' in one.base_reason and 'GPU' in two.base_reason
    # VOC: 10 582 images of train_aug, 50 000 iterations of 8 images are 38 epochs
    voc = stage1_settings(large(10582), device='cuda')
    assert voc.max_iters == 50000
    assert stage2_settings(large(1000), device='cuda').max_iters == 3000


@pytest.mark.parametrize('device', ['cpu', 'cuda'])
def test_from_scratch(device):
    one, two = (
        f(NUTS, device=device, from_scratch=True) for f in (stage1_settings, stage2_settings)
    )
    assert (one.base, one.max_iters) == ('p2seg/tiny_own_data.py', 2000)
    assert two.base == 'refine/mask-rcnn_efficientnet-lite0_own_data.py' and two.from_scratch
    assert 'without pretrained weights' in one.base_reason and 'without' in two.base_reason


@pytest.mark.parametrize(
    ('long_side', 'spacing', 'size', 'limited'),
    [
        (800, math.inf, None, False),
        (384, 24, None, False),
        (2048, 200, None, False),  # far apart: large images are made smaller
        (384, 18, 512, False),
        (2048, 96, 512, False),
        (2048, 20, 1024, True),
        (384, 0, 1024, True),  # two points at one place
    ],
)
def test_images_with_near_points_are_larger(long_side, spacing, size, limited):
    figures = DataFigures(num_images=18, long_side=long_side, spacing=spacing)
    settings = stage1_settings(figures, device='cpu')
    assert settings.test_size == size
    assert ('at most 1024' in settings.sizes_reason) == limited
    if size is not None:
        assert size % 32 == 0
        expected = [round(s * size / 384) for s in (269, 307, 346, 384, 422, 461, 499)]
        assert list(settings.sizes) == expected
        # the spacing in the reason is the one that is too small
        near = f'{spacing * 384 / long_side:.0f} pixels from the nearest'
        assert near in settings.sizes_reason


def test_both_stages_enlarge_but_not_mmdets_size():
    figures = DataFigures(num_images=18, long_side=384, spacing=18)
    assert stage2_settings(figures, device='cpu').test_size == 512
    assert stage1_settings(figures, device='cuda').test_size == 512
    assert stage2_settings(figures, device='cuda').test_size is None


def test_a_class_head_needs_some_images():
    assert [wants_class_head(large(n)) for n in (1, 9, 10, 500)] == [False, False, True, True]
