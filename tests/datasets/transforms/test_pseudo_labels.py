import numpy as np
import pytest
from mmcv.transforms import Compose
from mmengine.registry import DefaultScope
from PIL import Image

from mmp2seg.datasets.transforms import FilterPseudoLabels, LoadPseudoLabels, PackPseudoLabels
from mmp2seg.ops.rle import encode_rle
from mmp2seg.registry import TRANSFORMS

SIZE = (40, 48)


def instance(number, **changes):
    """The instance of a column of 4 pixels; its score and label tell its number."""
    mask = np.zeros(SIZE, dtype=bool)
    mask[4:36, 6 * number : 6 * number + 4] = True
    entry = dict(
        bbox=[6 * number, 4, 6 * number + 4, 36],
        bbox_label=number,
        ignore_flag=0,
        mask=encode_rle(mask),
        score=number / 8,
    )
    return {**entry, **changes}


@pytest.fixture
def results(tmp_path):
    semantic_map = np.zeros(SIZE, dtype=np.uint8)
    for number in range(8):
        semantic_map[4:36, 6 * number : 6 * number + 4] = number + 1
    image = Image.fromarray(semantic_map, mode='P')
    image.putpalette(list(range(256)) * 3)
    image.save(tmp_path / 'map.png')
    return dict(
        img=np.zeros((*SIZE, 3), dtype=np.uint8),
        img_path='photo.jpg',
        img_id=1,
        img_shape=SIZE,
        ori_shape=SIZE,
        height=SIZE[0],
        width=SIZE[1],
        instances=[instance(number) for number in range(8)],
        seg_map_path=str(tmp_path / 'map.png'),
    )


def pipeline(*steps):
    with DefaultScope.overwrite_default_scope('mmdet'):
        return Compose([TRANSFORMS.build(step) for step in steps])


LOAD = dict(type='mmp2seg.LoadPseudoLabels', with_seg=True)
PACK = dict(type='mmp2seg.PackPseudoLabels')


def check(sample):
    """Scores, labels, masks and map of a packed sample tell of the same instances."""
    instances = sample.gt_instances
    assert instances.scores.tolist() == [label / 8 for label in instances.labels.tolist()]
    semantic_map = sample.gt_sem_seg.sem_seg[0].numpy()
    assert semantic_map.shape == instances.masks.masks.shape[1:] == sample.img_shape
    for mask, label in zip(instances.masks.masks, instances.labels.tolist(), strict=True):
        assert np.array_equal(mask == 1, semantic_map == label + 1)


def test_loads_and_packs(results):
    sample = pipeline(LOAD, PACK)(results)['data_samples']
    check(sample)
    assert sample.gt_instances.labels.tolist() == list(range(8))


@pytest.mark.parametrize('seed', range(4))
def test_scores_stay_with_their_instances(results, seed):
    np.random.seed(seed)  # noqa: NPY002 (mmdet's transforms draw from it)
    steps = [
        dict(type='Resize', scale_factor=2.0, keep_ratio=True),
        dict(type='RandomCrop', crop_size=(32, 32), recompute_bbox=True),
        dict(type='RandomFlip', prob=1.0, direction='horizontal'),
    ]
    sample = pipeline(LOAD, *steps, PACK)(results)['data_samples']
    check(sample)
    assert 0 < len(sample.gt_instances) < 8
    assert sample.img_shape == (32, 32)


def test_what_a_crop_left_nothing_of_is_filtered_with_its_score(results):
    mask = np.zeros(SIZE, dtype=bool)
    mask[0, 0] = mask[39, 47] = True  # its box reaches into every crop, itself into few
    results['instances'][5] = instance(5, mask=encode_rle(mask), bbox=[0, 0, 48, 40])
    np.random.seed(1)  # noqa: NPY002
    crop = dict(type='RandomCrop', crop_size=(24, 32), recompute_bbox=True)
    steps = [LOAD, dict(type='mmdet.Resize', scale_factor=1.0, keep_ratio=True), crop]
    cropped = pipeline(*steps)(results)
    assert 5 in cropped['gt_bboxes_labels'] and not cropped['gt_masks'].areas.all()
    cropped['gt_ignore_flags'][0] = True
    filtered = FilterPseudoLabels(min_gt_bbox_wh=(1e-2, 1e-2))(cropped)
    assert filtered['gt_masks'].areas.all() and 5 not in filtered['gt_bboxes_labels']
    assert filtered['gt_ignore_flags'].tolist() == [True] + [False] * (
        len(filtered['gt_masks']) - 1
    )
    sample = PackPseudoLabels()(filtered)['data_samples']
    labels = sample.gt_instances.labels.tolist()
    assert sample.gt_instances.scores.tolist() == [label / 8 for label in labels]
    assert len(labels) == len(filtered['gt_masks']) - 1


def test_an_image_that_loses_all_is_given_up(results):
    loaded = pipeline(LOAD)(results)
    assert FilterPseudoLabels(min_gt_bbox_wh=(100, 100))(loaded) is None
    kept = FilterPseudoLabels(min_gt_bbox_wh=(100, 100), keep_empty=False)(loaded)
    assert len(kept['gt_instances_ids']) == len(kept['gt_bboxes_labels']) == 0


def test_ignored_instances_are_left_out(results):
    results['instances'][2] = instance(2, ignore_flag=1)
    sample = pipeline(LOAD, PACK)(results)['data_samples']
    assert sample.gt_instances.labels.tolist() == [0, 1, 3, 4, 5, 6, 7]
    assert sample.gt_instances.scores.tolist() == [0, 1 / 8, 3 / 8, 0.5, 5 / 8, 0.75, 7 / 8]


def test_an_image_without_instances(results):
    results['instances'] = []
    sample = pipeline(LOAD, PACK)(results)['data_samples']
    assert sample.gt_instances.scores.shape == (0,)


def test_loading_a_map_that_does_not_fit(results, tmp_path):
    path = results.pop('seg_map_path')
    with pytest.raises(ValueError, match="photo.jpg: expected a semantic map.*without 'seg'"):
        LoadPseudoLabels(with_seg=True)(results)
    assert 'gt_seg_map' not in LoadPseudoLabels()(results)
    Image.new('L', (4, 6)).save(tmp_path / 'small.png')
    results['seg_map_path'] = str(tmp_path / 'small.png')
    with pytest.raises(ValueError, match=r'small.png: expected a map of the size \(40, 48\).*6, 4'):
        LoadPseudoLabels(with_seg=True)(results)
    results['seg_map_path'] = path + '.gone'
    with pytest.raises(FileNotFoundError, match='map.png.gone'):
        LoadPseudoLabels(with_seg=True)(results)


def test_maps_have_background():
    with pytest.raises(ValueError, match='reduce_zero_label=False'):
        LoadPseudoLabels(with_seg=True, reduce_zero_label=True)


def test_packing_what_lost_its_ids_or_scores(results):
    loaded = pipeline(LOAD)(results)
    filtered = {**loaded, 'gt_instances_ids': loaded['gt_instances_ids'][:-1]}
    with pytest.raises(ValueError, match=r'photo.jpg: expected the labels .*5, 6\] of.*5, 6, 7\]'):
        PackPseudoLabels()(filtered)
    pasted = {**loaded, 'gt_bboxes_labels': np.roll(loaded['gt_bboxes_labels'], 1)}
    with pytest.raises(ValueError, match=r'got \[7, 0, 1, .*CopyPaste'):
        PackPseudoLabels()(pasted)
    no_ids = {key: value for key, value in loaded.items() if key != 'gt_instances_ids'}
    with pytest.raises(ValueError, match='gt_instances_ids from LoadPseudoLabels'):
        PackPseudoLabels()(no_ids)
    del loaded['instances'][0]['score']
    with pytest.raises(ValueError, match='PseudoLabelCocoDataset'):
        PackPseudoLabels()(loaded)


def test_kinds_are_packed(results):
    for number, kind in ((1, 'mask'), (2, 'box'), (5, 'point')):
        results['instances'][number]['supervision'] = kind
    sample = pipeline(LOAD, PACK)(results)['data_samples']
    assert sample.gt_instances.supervision.tolist() == [0, 2, 1, 0, 0, 0, 0, 0]
