import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import DefaultScope
from PIL import Image

from mmp2seg.datasets import PointVOCDataset
from mmp2seg.models import SemanticScorer
from mmp2seg.models.test_time_augs import P2SegTTA
from mmp2seg.registry import MODELS
from mmp2seg.testing import tiny_p2seg_config, write_tiny_voc

LOAD = [dict(type='mmcv.LoadImageFromFile'), dict(type='mmp2seg.LoadPointAnnotations')]
PACK = dict(type='mmp2seg.PackPointInputs')


def copies(*, factors=(1.0,), flips=(0.0,), direction='horizontal'):
    """A pipeline with a copy for every factor and flip."""
    resize = [dict(type='mmdet.Resize', scale_factor=f, keep_ratio=True) for f in factors]
    flip = [dict(type='mmdet.RandomFlip', prob=p, direction=direction) for p in flips]
    return [*LOAD, dict(type='mmcv.TestTimeAug', transforms=[resize, flip, [PACK]])]


@pytest.fixture
def source(tmp_path):
    return write_tiny_voc(tmp_path)


@pytest.fixture
def module():
    torch.manual_seed(0)
    config = tiny_p2seg_config(test_cfg=dict(return_maps=True))
    model = MODELS.build(config).eval()
    for head in (model.semantic_head, model.offset_head):  # maps with something in them
        torch.nn.init.normal_(head.predictor.weight, std=4.0)
    return model


def predict(model, source, pipeline, indices=(0, 1, 2)):
    dataset = PointVOCDataset(**source, pipeline=pipeline)
    with torch.no_grad():
        return model.test_step(pseudo_collate([dataset[index] for index in indices]))


def make_symmetric(source):
    """Make the first image, its map and its points the same from left to right."""
    root = source['data_root']
    for folder, suffix in (('JPEGImages', 'jpg'), ('WSSS_maps', 'png')):
        path = f'{root}/{folder}/img_1.{suffix}'
        half = np.array(Image.open(path))[:, :24]
        name = path.replace('.jpg', '.png')
        Image.fromarray(np.concatenate([half, half[:, ::-1]], axis=1)).save(name)
    with open(f'{root}/Center_points/img_1.txt', 'w') as file:
        file.write('8 8 0 1\n39 8 0 1\n')  # pixels 8 and 47 - 8
    return {**source, 'img_suffix': '.png'}


def assert_same(first, second):
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one.pred_instances.masks, other.pred_instances.masks)
        assert torch.equal(one.pred_instances.scores, other.pred_instances.scores)
        assert torch.equal(one.pred_instances.points, other.pred_instances.points)
        assert one.dropped_points.reasons == other.dropped_points.reasons
        assert torch.equal(one.pred_offset.offset, other.pred_offset.offset)


@pytest.mark.parametrize('scope', ['mmdet', 'mmseg', 'mmp2seg'])
def test_one_unchanged_copy_is_the_plain_prediction(source, module, scope):
    with DefaultScope.overwrite_default_scope(scope):
        model = MODELS.build(dict(type='mmp2seg.P2SegTTA', module=tiny_p2seg_config()))
        model.module = module
        augmented = predict(model, source, copies())
        assert_same(augmented, predict(module, source, [*LOAD, PACK]))


def test_two_equal_copies_are_the_plain_prediction(source, module):
    augmented = predict(P2SegTTA(module), source, copies(flips=(0.0, 0.0)))
    assert_same(augmented, predict(module, source, [*LOAD, PACK]))


@pytest.mark.parametrize(('direction', 'axis'), [('horizontal', -1), ('vertical', -2)])
def test_a_flipped_copy_alone_is_the_prediction_of_the_flipped_image(
    source, module, direction, axis
):
    pipeline = copies(flips=(1.0,), direction=direction)
    flipped = predict(P2SegTTA(module), source, pipeline, [0])
    dataset = PointVOCDataset(
        **source,
        pipeline=[*LOAD, dict(type='mmdet.RandomFlip', prob=1.0, direction=direction), PACK],
    )
    data = pseudo_collate([dataset[0]])
    data['data_samples'][0].set_metainfo(dict(flip=False))  # stays in the flipped frame
    with torch.no_grad():
        (plain,) = module.test_step(data)
    sign = torch.tensor([-1.0, 1.0] if axis == -1 else [1.0, -1.0])[:, None, None]
    offset = plain.pred_offset.offset.flip(axis) * sign
    assert torch.allclose(flipped[0].pred_offset.offset, offset, atol=1e-4)
    assert torch.equal(flipped[0].pred_sem_seg.sem_seg, plain.pred_sem_seg.sem_seg.flip(axis))


def test_a_symmetric_image_gets_symmetric_maps(source, module):
    source = make_symmetric(source)
    (plain,) = predict(module, source, [*LOAD, PACK], [0])
    (sample,) = predict(P2SegTTA(module), source, copies(flips=(0.0, 1.0)), [0])
    (dx, dy), semantic_map = sample.pred_offset.offset, sample.pred_sem_seg.sem_seg
    assert torch.allclose(dx, -dx.flip(-1), atol=1e-5)
    assert torch.allclose(dy, dy.flip(-1), atol=1e-5)
    assert torch.equal(semantic_map, semantic_map.flip(-1))
    # the network itself is not
    assert not torch.allclose(plain.pred_offset.offset[0], -plain.pred_offset.offset[0].flip(-1))


def test_points_come_out_where_they_are_annotated(source, module):
    pipeline = copies(factors=(1.25, 0.75), flips=(1.0, 0.0))
    for sample in predict(P2SegTTA(module), source, pipeline):
        kept, dropped = sample.pred_instances, sample.dropped_points
        points = {
            point_id: xy
            for part in (kept, dropped)
            for point_id, xy in zip(part.point_ids.tolist(), part.points.tolist())
        }
        annotated = {3: [[8.5, 8.5], [23.5, 8.5], [14.5, 25.5]], 1: [[20.5, 12.5]], 0: []}
        for point_id, xy in enumerate(annotated[len(points)]):
            assert points[point_id] == xy  # to the last bit
        assert kept.masks.shape[1:] == (40, 48)


def test_weak_maps_are_those_of_the_copies(source, module):
    """With the weak map alone in the scores, every copy says the same."""
    module.test_scorer = SemanticScorer(use_weak_map=True, network_weight=0.0)
    augmented = predict(P2SegTTA(module), source, copies(flips=(0.0, 1.0)), [0])
    plain = predict(module, source, [*LOAD, PACK], [0])
    assert torch.equal(augmented[0].pred_sem_seg.sem_seg, plain[0].pred_sem_seg.sem_seg)
