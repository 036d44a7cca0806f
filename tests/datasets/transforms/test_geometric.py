"""Image, points and weak map stay together through mmdet's geometric transforms."""

import random

import numpy as np
import pytest
import torch
from mmcv.transforms import Compose
from mmdet.datasets.transforms import CachedMosaic as MMDetCachedMosaic
from mmdet.datasets.transforms import RandomAffine as MMDetRandomAffine
from mmdet.structures.mask import BitmapMasks
from mmengine.registry import DefaultScope

from mmp2seg.codecs import PointPseudoLabeler
from mmp2seg.codecs.data_samples import image_points
from mmp2seg.datasets.transforms.geometric import CachedMosaic, RandomAffine
from mmp2seg.structures import PointBoxes

SIZE = (60, 80)
RADIUS = 5
PAD = 114


def picture(seed=0, num=6):
    """Results of the loading: square number n is of class n, as dark as 20 + 30 n, on a grid.

    Each point is the centre of its square, its id 100 * seed + n.
    """
    rng = random.Random(seed)
    image = np.full((*SIZE, 3), 255, dtype=np.uint8)
    semantic_map = np.zeros(SIZE, dtype=np.uint8)
    points = []
    for n in range(num):
        row, col = 10 + 20 * (n // 3) + rng.randrange(8), 12 + 25 * (n % 3) + rng.randrange(6)
        square = np.s_[row - RADIUS : row + RADIUS + 1, col - RADIUS : col + RADIUS + 1]
        image[square], semantic_map[square] = 20 + 30 * n, n + 1
        points.append((col + 0.5, row + 0.5))
    return dict(
        img=image,
        img_shape=SIZE,
        ori_shape=SIZE,
        gt_bboxes=PointBoxes(np.array(points, dtype=np.float32).reshape(-1, 2)),
        gt_bboxes_labels=np.arange(num),
        gt_instances_ids=100 * seed + np.arange(num),
        gt_seg_map=semantic_map,
        seg_fields=['gt_seg_map'],
    )


def assert_together(results):
    """Every point is on a pixel of its class and its colour; map and image say the same."""
    image, semantic_map = results['img'][..., 0].astype(int), results['gt_seg_map']
    assert semantic_map.shape == image.shape == tuple(results['img_shape'][:2])
    assert semantic_map.dtype == np.uint8
    ids, labels = results['gt_instances_ids'], results['gt_bboxes_labels']
    assert (ids % 100 == labels).all()
    for (x, y), label in zip(results['gt_bboxes'].numpy(), labels, strict=True):
        assert semantic_map[int(y), int(x)] == label + 1
        assert abs(image[int(y), int(x)] - (20 + 30 * label)) <= 2
    colours = np.full(256, 255)
    colours[1:7] = 20 + 30 * np.arange(6)
    colours[255] = PAD
    # interpolation mixes colours at the edges alone
    assert (np.abs(image - colours[semantic_map]) <= 2).mean() > 0.75


def centroid(mask):
    rows, cols = np.nonzero(mask)
    return np.array([cols.mean() + 0.5, rows.mean() + 0.5])


class TestRandomAffine:
    @pytest.mark.parametrize('border', [(0, 0), (-8, -4), (10, 6)])
    @pytest.mark.parametrize('seed', range(4))
    def test_points_and_map_move_with_the_image(self, seed, border):
        random.seed(seed)
        results = RandomAffine(max_rotate_degree=20, border=border)(picture())
        assert results['img'].shape == (SIZE[0] + 2 * border[1], SIZE[1] + 2 * border[0], 3)
        assert_together(results)

    def test_points_are_the_centres_of_what_they_mark(self):
        """Enlarged threefold, a fraction of a pixel shows."""
        options = dict(max_rotate_degree=0, max_translate_ratio=0, max_shear_degree=0)
        transform = RandomAffine(scaling_ratio_range=(3, 3), border=(200, 200), **options)
        results = transform(picture())
        assert len(results['gt_bboxes']) == 6
        for point, label in zip(results['gt_bboxes'].numpy(), results['gt_bboxes_labels']):
            square = results['gt_seg_map'] == label + 1
            assert centroid(square) == pytest.approx(point, abs=0.1)
            near = np.abs(results['img'][..., 0].astype(int) - (20 + 30 * label)) <= 2
            assert centroid(near & square) == pytest.approx(point, abs=0.1)

    def test_what_comes_from_outside_is_ignored_and_points_outside_go(self):
        options = dict(max_rotate_degree=0, max_shear_degree=0, scaling_ratio_range=(1, 1))
        transform = RandomAffine(max_translate_ratio=1, **options)
        transform._get_random_homography_matrix = lambda height, width: np.array(
            [[1.0, 0, 30], [0, 1, 0], [0, 0, 1]]
        )
        before = picture()
        points = before['gt_bboxes'].numpy().copy()
        results = transform(before)
        kept = points[:, 0] + 30 < SIZE[1]
        assert 0 < kept.sum() < 6
        assert results['gt_instances_ids'].tolist() == np.flatnonzero(kept).tolist()
        assert results['gt_bboxes'].numpy().tolist() == (points[kept] + [30, 0]).tolist()
        assert (results['gt_seg_map'][:, :30] == 255).all()
        assert not (results['gt_seg_map'][:, 30:] == 255).any()

    def test_an_image_without_points_moves_its_map_too(self):
        transform = RandomAffine()
        transform._get_random_homography_matrix = lambda height, width: np.array(
            [[1.0, 0, 30], [0, 1, 0], [0, 0, 1]]
        )
        results = transform(picture(num=0))
        assert_together(results)
        assert (results['gt_seg_map'][:, :30] == 255).all()
        assert not (results['gt_seg_map'][:, 30:] == 255).any()

    def test_without_a_map(self):
        before = picture()
        del before['gt_seg_map']
        assert len(RandomAffine()(before)['gt_bboxes_labels']) > 0


class TestCachedMosaic:
    def mosaic(self, seed, num=6, **options):
        transform = CachedMosaic(img_scale=(64, 48), max_cached_images=5, **options)
        random.seed(seed)
        for index in range(8):  # also past the size of the cache
            results = transform(picture(index, num=num))
        return results

    @pytest.mark.parametrize('random_pop', [True, False])
    @pytest.mark.parametrize('seed', range(3))
    def test_points_and_maps_of_four_images_stay_together(self, seed, random_pop):
        results = self.mosaic(seed, random_pop=random_pop)
        assert results['img'].shape == (96, 128, 3)
        assert_together(results)
        images = set((results['gt_instances_ids'] // 100).tolist())
        assert 7 in images and len(images) > 1

    def test_padding_is_ignored(self):
        results = self.mosaic(0)
        is_padding = (results['img'] == PAD).all(axis=2)
        assert is_padding.any()
        assert (results['gt_seg_map'][is_padding] == 255).all()
        assert not (results['gt_seg_map'][~is_padding] == 255).any()

    def test_images_without_points(self):
        results = self.mosaic(0, num=0)
        assert len(results['gt_bboxes']) == len(results['gt_instances_ids']) == 0
        assert set(np.unique(results['gt_seg_map'])) == {0, 255}

    def test_the_first_images_pass(self):
        transform = CachedMosaic(img_scale=(64, 48))
        for index in range(4):
            results = transform(picture(index))
            assert_together(results)
            assert results['gt_instances_ids'].tolist() == [100 * index + n for n in range(6)]

    def test_probability_zero_passes_with_a_full_cache(self):
        results = self.mosaic(0, prob=0.0)
        assert results['img'].shape[:2] == SIZE
        assert_together(results)


@pytest.mark.parametrize('scope', ['mmdet', 'mmseg', 'mmp2seg'])
def test_a_pipeline_of_all(scope):
    with DefaultScope.overwrite_default_scope(scope):
        pipeline = Compose(
            [
                dict(type='mmp2seg.CachedMosaic', img_scale=(80, 60), max_cached_images=5),
                dict(type='mmp2seg.RandomAffine', scaling_ratio_range=(0.8, 1.2)),
                dict(type='mmdet.RandomCrop', crop_size=(90, 90), allow_negative_crop=True),
                dict(type='mmdet.RandomFlip', prob=0.5),
                dict(type='mmdet.Pad', size=(96, 96), pad_val=dict(img=(PAD,) * 3, seg=255)),
                dict(type='mmp2seg.FindRegions'),
                dict(type='mmp2seg.PackPointInputs'),
            ]
        )
    random.seed(0)
    for index in range(12):
        results = pipeline(picture(index))
        sample = results['data_samples']
        instances, semantic_map = sample.gt_instances, sample.gt_sem_seg.sem_seg[0]
        assert results['inputs'].shape == (3, 96, 96)
        cols, rows = instances.points.long().T
        assert torch.equal(semantic_map[rows, cols].long(), instances.labels + 1)
        targets = PointPseudoLabeler().image_targets(image_points(sample))
        instance_map = targets.instance_map
        assert instance_map[rows, cols].tolist() == list(range(1, len(instances) + 1))


@pytest.mark.parametrize(
    'transform',
    [MMDetRandomAffine(), MMDetCachedMosaic(img_scale=(64, 48))],
    ids=['affine', 'mosaic'],
)
def test_mmdets_own_do_not_move_points_without_their_map(transform):
    with pytest.raises(KeyError, match='gt_ignore_flags'):
        for index in range(5):
            transform(picture(index))


def _with_gt_masks(results):
    """Each point has its square as a true mask."""
    values = results['gt_bboxes_labels'] + 1
    masks = (results['gt_seg_map'] == values[:, None, None]).astype(np.uint8)
    return {**results, 'gt_masks': BitmapMasks(masks, *SIZE)}


@pytest.mark.parametrize('seed', range(3))
def test_true_masks_stay_with_their_points_in_an_affine_transform(seed):
    random.seed(seed)
    results = RandomAffine(border_val=(PAD,) * 3)(_with_gt_masks(picture(seed)))
    assert len(results['gt_masks']) == len(results['gt_bboxes']) > 0
    for mask, label in zip(results['gt_masks'].masks, results['gt_bboxes_labels'], strict=True):
        assert np.array_equal(mask > 0, results['gt_seg_map'] == label + 1)


def test_a_mosaic_of_true_masks_is_refused():
    with pytest.raises(ValueError, match='CachedMosaic expected points alone'):
        CachedMosaic()(_with_gt_masks(picture()))
