import copy

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.logging import MessageHub
from mmengine.registry import DefaultScope

from mmp2seg.codecs import PointPseudoLabeler
from mmp2seg.codecs.data_samples import image_points
from mmp2seg.datasets import PointVOCDataset
from mmp2seg.models.distillation import mutual_distiller
from mmp2seg.ops import grouping
from mmp2seg.ops.rle import encode_rle
from mmp2seg.registry import MODELS
from mmp2seg.testing import tiny_p2seg_config, write_tiny_voc
from mmp2seg.testing.host_waits import host_waits

LOAD = [dict(type='mmcv.LoadImageFromFile'), dict(type='mmp2seg.LoadPointAnnotations')]
PACK = dict(type='mmp2seg.PackPointInputs')
TRAIN = [*LOAD, dict(type='mmp2seg.FindRegions'), PACK]


def _targets(sample):
    """Initial targets of a sample, by the labeler's defaults."""
    return PointPseudoLabeler().image_targets(image_points(sample))


@pytest.fixture
def dataset(tmp_path):
    return PointVOCDataset(**write_tiny_voc(tmp_path), pipeline=TRAIN)


@pytest.fixture
def hub():
    """The runner's message hub, with its iteration put back afterwards."""
    info = MessageHub.get_current_instance().runtime_info
    before = info.copy()
    yield info
    info.clear()
    info.update(before)


def _model(**overrides):
    torch.manual_seed(0)
    return MODELS.build(tiny_p2seg_config(**overrides))


def _batch(dataset, indices):
    return pseudo_collate([dataset[index] for index in indices])


@pytest.mark.parametrize('scope', ['mmdet', 'mmseg', 'mmp2seg'])
def test_trains_on_a_batch_with_an_empty_image(dataset, scope):
    with DefaultScope.overwrite_default_scope(scope):
        model = _model()
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    totals = []
    for _ in range(12):
        data = model.data_preprocessor(_batch(dataset, [0, 1, 2]), True)
        losses = model(**data, mode='loss')
        assert losses.keys() == {'loss_semantic', 'loss_offset', 'loss_affinity'}
        total = sum(losses.values())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        totals.append(total.item())
    assert totals[-1] < 0.9 * totals[0]


def test_an_image_without_points_alone_trains_the_background(dataset):
    model = _model()
    losses = model(**model.data_preprocessor(_batch(dataset, [2]), True), mode='loss')
    sum(losses.values()).backward()
    assert losses['loss_offset'].item() == 0
    assert losses['loss_affinity'].item() == 0
    assert losses['loss_semantic'].item() > 0


def test_a_batch_of_two_is_two_batches_of_one(dataset):
    model = _model().eval()  # batch norm joins images only in training mode

    def _losses(indices):
        return model(**model.data_preprocessor(_batch(dataset, indices), True), mode='loss')

    both, first, second = _losses([0, 1]), _losses([0]), _losses([1])
    for name in ('loss_semantic', 'loss_affinity'):
        mean = (first[name] + second[name]).item() / 2
        assert both[name].item() == pytest.approx(mean, rel=1e-4)
    # The offset loss is a mean over all pixels with a weight (L_off): 292 and 352 of them.
    areas = [
        _targets(sample).weight.sum().item() for sample in _batch(dataset, [0, 1])['data_samples']
    ]
    expected = (areas[0] * first['loss_offset'] + areas[1] * second['loss_offset']) / sum(areas)
    assert both['loss_offset'].item() == pytest.approx(expected.item(), rel=1e-4)


def test_images_of_different_sizes_go_together(dataset, tmp_path):
    (tmp_path / 'other').mkdir()
    other = PointVOCDataset(**write_tiny_voc(tmp_path / 'other', size=(52, 33)), pipeline=TRAIN)
    model = _model()
    data = model.data_preprocessor(pseudo_collate([dataset[0], other[0]]), True)
    sum(model(**data, mode='loss').values()).backward()
    data = model.data_preprocessor(pseudo_collate([dataset[0], other[0]]), False)
    with torch.no_grad():
        results = model.eval()(**data, mode='predict')
    assert [sample.pred_instances.masks.shape[1:] for sample in results] == [(40, 48), (52, 33)]


@pytest.fixture
def sizes(tmp_path):
    """Samples of images of five sizes, of which two share one when padded."""
    samples = []
    for index, size in enumerate([(40, 48), (64, 50), (52, 33), (90, 120), (47, 41)]):
        (tmp_path / str(index)).mkdir()
        files = write_tiny_voc(tmp_path / str(index), size=size)
        samples += list(PointVOCDataset(**files, pipeline=TRAIN))[:2]
    return samples


def test_an_image_gets_the_same_masks_in_any_batch(sizes):
    # A network that looks at nothing but itself: what the batch pads must not reach an image.
    model = _model(test_cfg=dict(use_weak_map=False, return_maps=True))
    for _ in range(3):  # batch norm with other statistics than 0 and 1
        model(**model.data_preprocessor(pseudo_collate(sizes[:2]), True), mode='loss')
    model.eval()

    def predict(samples):
        with torch.no_grad():
            return model.test_step(copy.deepcopy(pseudo_collate(samples)))

    together = predict(sizes[:8]) + predict(sizes[8:])
    shuffled = predict(sizes[::-1])[::-1]
    for one, others in zip(sizes, zip(together, shuffled, strict=True), strict=True):
        (alone,) = predict([one])
        for other in others:
            assert torch.equal(other.pred_instances.masks, alone.pred_instances.masks)
            assert torch.equal(other.pred_sem_seg.sem_seg, alone.pred_sem_seg.sem_seg)
            torch.testing.assert_close(other.pred_offset.offset, alone.pred_offset.offset)
            torch.testing.assert_close(other.pred_instances.scores, alone.pred_instances.scores)


def test_refined_targets_begin_at_their_iteration(dataset, hub):
    model = _model(distiller=dict(type='mmp2seg.MutualDistiller', rounds=0, refine_begin=5))
    model.offset_head.predictor.bias.data[0] = 9.0  # the left bar lands on the right one's side
    batch = _batch(dataset, [0])

    def _offset_loss():
        data = model.data_preprocessor(copy.deepcopy(batch), True)
        return model.eval()(**data, mode='loss')['loss_offset'].item()

    hub['iter'] = 4
    before = _offset_loss()
    hub['iter'] = 5
    after = _offset_loss()
    model.distiller.refine_begin = None
    assert before != after
    assert _offset_loss() == before


@pytest.mark.parametrize(('click_weight', 'joined'), [(0.0, False), (0.1, False), (0.0, True)])
def test_what_the_host_waits_for_in_a_training_step(dataset, monkeypatch, click_weight, joined):
    # as on a GPU, where the affinity losses have their own kernels
    monkeypatch.setattr(grouping, 'nearest_point_by_tiles', grouping.nearest_point_streamed)
    guided = dict(type='mmp2seg.GuidedAffinity')
    scorer = dict(affinity=guided, click_weight=click_weight)
    distiller = dict(type='mmp2seg.MutualDistiller', semantic_use='semantic')
    model = _model(distiller=dict(distiller, instance_scorer=scorer))
    monkeypatch.setattr(model.mdm_loss.loss_affinity, 'forward', lambda rows, _: rows.sum() * 0)
    if joined:
        monkeypatch.setattr(mutual_distiller, '_can_be_joined', lambda image: True)
    data = model.data_preprocessor(_batch(dataset, [0, 1]), True)
    with host_waits() as waits:
        losses = model(**data, mode='loss')
        sum(losses.values()).backward()
    before = [one for one in waits if 'semantic_scores.py' in one or 'point_results.py' in one]
    others = waits[len(before) :]
    assert waits[: len(before)] == before  # the network; of joined points, one is on the device
    assert len(before) == 2 + joined
    # the parts that hang together are found on the CPU, for the batch at once
    assert others and all('components.py' in wait for wait in others)


def test_mixed_precision(dataset):
    model = _model()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        losses = model(**model.data_preprocessor(_batch(dataset, [0, 1]), True), mode='loss')
    assert {loss.dtype for loss in losses.values()} == {torch.float32}
    sum(losses.values()).backward()
    gradients = [parameter.grad for parameter in model.parameters()]
    assert all(gradient.isfinite().all() for gradient in gradients if gradient is not None)


def _predict(model, dataset, indices):
    with torch.no_grad():
        return model.eval().test_step(_batch(dataset, indices))


def test_every_point_is_an_instance_or_dropped_with_a_reason(dataset):
    for sample in _predict(_model(), dataset, [0, 1, 2]):
        kept, dropped = sample.pred_instances, sample.dropped_points
        ids = kept.point_ids.tolist() + dropped.point_ids.tolist()
        assert sorted(ids) == sample.gt_instances.point_ids.tolist()
        assert len(dropped.reasons) == len(dropped.points)
        assert kept.masks.flatten(1).any(dim=1).all()
        assert ((kept.scores >= 0) & (kept.scores <= 1)).all()
        assert kept.bboxes.shape == (len(kept), 4)


def test_a_perfect_network_gives_the_weak_maps_instances(dataset, monkeypatch):
    model = _model(test_cfg=dict(return_maps=True))
    sample = dataset[0]['data_samples']
    semantic_map = sample.gt_sem_seg.sem_seg[0].long()
    one_hot = torch.nn.functional.one_hot(semantic_map, 3).permute(2, 0, 1)[None].float()
    pad = torch.nn.functional.pad
    offset = _targets(sample).offset[None]
    maps = (pad(one_hot * 50, (0, 0, 0, 8)), pad(offset, (0, 0, 0, 8)), None)
    monkeypatch.setattr(model, '_forward', lambda *_: maps)
    result = _predict(model, dataset, [0])[0]
    expected = _targets(sample).instance_map
    assert result.pred_instances.point_ids.tolist() == [0, 1, 2]
    for index, mask in enumerate(result.pred_instances.masks):
        assert torch.equal(mask, expected == index + 1)
    assert result.pred_instances.scores.tolist() == pytest.approx([1, 1, 1])
    assert torch.equal(result.pred_sem_seg.sem_seg[0], semantic_map)
    assert torch.equal(result.pred_offset.offset, _targets(sample).offset)


def test_resized_input_gives_masks_points_and_offsets_of_the_original(tmp_path):
    pipeline = [
        *LOAD,
        dict(type='mmdet.Resize', scale=(96, 80), keep_ratio=True),
        PACK,
    ]
    dataset = PointVOCDataset(**write_tiny_voc(tmp_path), pipeline=pipeline)
    model = _model(test_cfg=dict(return_maps=True))
    ones = torch.zeros(1, 3, 80, 96)
    ones[:, 1] = 9.0
    model._forward = lambda *_: (ones, torch.full((1, 2, 80, 96), 6.0), None)
    result = _predict(model, dataset, [0])[0]
    assert result.pred_instances.masks.shape[1:] == (40, 48)
    assert torch.allclose(result.pred_offset.offset, torch.tensor(3.0))
    points = torch.cat([result.pred_instances.points, result.dropped_points.points])
    assert points[0].tolist() == [8.5, 8.5]


def test_points_of_the_file_are_reported_exactly(tmp_path):
    """Whole-number points of an image of 1024 x 683 that the pipeline resizes to 384."""
    pipeline = [
        *LOAD,
        dict(type='mmdet.Resize', scale=(384, 384), keep_ratio=True),
        dict(type='mmdet.RandomFlip', prob=1.0),
        PACK,
    ]
    source = write_tiny_voc(tmp_path, size=(683, 1024))
    rng = np.random.default_rng(0)
    pixels = np.unique(rng.integers(0, [1024, 683], (300, 2)), axis=0)
    lines = [f'{x - 0.5} {y - 0.5} 0 1' for x, y in pixels]  # + 0.5 on reading
    (tmp_path / 'Center_points' / 'img_1.txt').write_text('\n'.join(lines))
    dataset = PointVOCDataset(**source, pipeline=pipeline)
    model = _model(test_cfg=dict(decoder=dict(grouping='nearest')))
    logits = torch.zeros(1, 3, 16, 24)
    logits[:, 1] = 9.0  # every pixel is of class 0
    model._forward = lambda *_: (logits, torch.zeros(1, 2, 16, 24), None)
    (result,) = _predict(model, dataset, [0])
    kept = result.pred_instances
    assert len(kept) == len(pixels)
    assert kept.points.tolist() == pixels.tolist()
    for mask, (x, y) in zip(kept.masks, kept.points.long().tolist()):
        assert mask[y, x]  # the pixel that the point lies on is in its mask


@pytest.mark.parametrize('direction', ['horizontal', 'vertical', 'diagonal'])
def test_flipped_input_gives_the_original_images_instances(tmp_path, direction):
    flip = dict(type='mmdet.RandomFlip', prob=1.0, direction=direction)
    source = write_tiny_voc(tmp_path)
    flipped = PointVOCDataset(**source, pipeline=[*TRAIN[:2], flip, *TRAIN[2:]])
    model = _model(test_cfg=dict(return_maps=True))

    def perfect(*_):  # what the flipped image's own targets say, in its frame
        sample = flipped[0]['data_samples']
        semantic_map = sample.gt_sem_seg.sem_seg.long()
        one_hot = torch.nn.functional.one_hot(semantic_map, 3).permute(0, 3, 1, 2).float()
        maps = one_hot * 50, _targets(sample).offset[None]
        return *(torch.nn.functional.pad(one, (0, 0, 0, 8)) for one in maps), None

    model._forward = perfect
    (result,) = _predict(model, flipped, [0])
    expected = PointVOCDataset(**source, pipeline=TRAIN)[0]['data_samples']
    instances, targets = result.pred_instances, _targets(expected)
    assert instances.point_ids.tolist() == [0, 1, 2]
    for index, mask in enumerate(instances.masks):
        assert torch.equal(mask, targets.instance_map == index + 1)
    assert torch.equal(instances.points, expected.ori_points.points)
    assert torch.equal(result.pred_offset.offset, targets.offset)


def test_there_is_one_labeler():
    model = _model(labeler=dict(min_region_area=7), test_cfg=dict(decoder=dict(anchor='point')))
    assert model.labeler.min_region_area == 7
    assert model.distiller.labeler is model.decoder.labeler is model.labeler
    assert (model.decoder.grouping, model.decoder.anchor) == ('offset', 'point')


@pytest.mark.parametrize(
    'old',
    [
        dict(labeler=dict(landing_weight=0.25, grouping='nearest', conflict='drop')),
        dict(labeler=dict(landing_weight=0.25, conflict='drop'), test_cfg=dict(grouping='nearest')),
    ],
)
def test_options_where_they_were_before_still_work_and_warn(old):
    with pytest.warns(DeprecationWarning, match=r'write model\.test_cfg\.decoder=dict'):
        model = _model(**old)
    assert (model.decoder.grouping, model.decoder.landing_weight) == ('nearest', 0.25)
    assert model.labeler.conflict == 'drop'


@pytest.mark.parametrize('place', ['distiller', 'decoder'])
def test_a_second_labeler_is_refused(place):
    labeler = dict(labeler=dict(max_snap_distance=1))
    options = dict(
        distiller=dict(distiller=dict(type='mmp2seg.MutualDistiller', **labeler)),
        decoder=dict(test_cfg=dict(decoder=labeler)),
    )
    with pytest.raises(ValueError, match=rf'expected the labeler in model\.labeler .*{place}'):
        _model(**options[place])


def _aligned_model(**overrides):
    """A network whose semantic head upsamples with aligned corners, as the released ResNet-101."""
    head = {**tiny_p2seg_config()['semantic_head'], 'align_corners': True}
    model = _model(semantic_head=head, **overrides)
    torch.nn.init.normal_(model.semantic_head.predictor.weight, std=4.0)
    return model


def test_aligned_corners_hold_where_the_weak_map_takes_part(dataset):
    model = _aligned_model(test_cfg=dict(use_weak_map=True, network_weight=1.0)).eval()
    data = model.data_preprocessor(_batch(dataset, [0]), False)
    logits, *_ = model._forward(data['inputs'])
    expected = model.semantic_head.predict_by_feat(logits, tuple(data['inputs'].shape[-2:]))
    (scores,) = _image_scores(model, data)
    assert torch.equal(scores, expected[0, :, :40, :48])


@pytest.mark.parametrize('align_corners', [False, True])
def test_the_targets_follow_the_heads_upsampling(dataset, align_corners):
    begin = dict.fromkeys(['refine_begin', 'propagate_begin'], 0)
    head = {**tiny_p2seg_config()['semantic_head'], 'align_corners': align_corners}
    model = _model(semantic_head=head, distiller=dict(type='mmp2seg.MutualDistiller', **begin))
    scorer, seen = model.distiller.scorer, []

    def spy(*args, align_corners, **options):
        seen.append(align_corners)
        return scorer(*args, align_corners=align_corners, **options)

    spy.rounds = scorer.rounds
    model.distiller.scorer = spy
    data = model.data_preprocessor(_batch(dataset, [0, 1]), True)
    model.loss(data['inputs'], data['data_samples'])
    assert seen == [align_corners] * 2


def test_an_unknown_option_of_the_test_is_named():
    with pytest.raises(ValueError, match=r"expected test_cfg keys .* got \['round'\]"):
        _model(test_cfg=dict(round=1))


def test_a_sample_without_its_points_says_what_is_missing(dataset):
    data = _batch(dataset, [0])
    del data['data_samples'][0].ori_points
    with pytest.raises(ValueError, match='expected data samples with ori_points'):
        _model().eval().test_step(data)


def test_tensor_mode_returns_raw_maps():
    logits, offset, embedding = _model()(torch.zeros(1, 3, 32, 48))
    assert logits.shape == (1, 3, 16, 24)
    assert offset.shape == (1, 2, 16, 24)
    assert embedding.shape == (1, 8, 16, 24)


def test_without_an_affinity_head_it_is_s2i_alone(dataset):
    model = _model(affinity_head=None)
    losses = model(**model.data_preprocessor(_batch(dataset, [0, 1]), True), mode='loss')
    assert losses.keys() == {'loss_semantic', 'loss_offset'}


def _image_scores(model, data, maps=None):
    """Scores of each image in its original frame, which here is the input's without padding."""
    if maps is not None:
        model._forward = lambda *_: maps
    with torch.no_grad():
        return [maps.scores for maps in model.predict_maps(data['inputs'], data['data_samples'])]


def test_raw_maps_serve_any_points_of_their_images(dataset):
    model = _model(test_cfg=dict(rounds=1, return_maps=True)).eval()
    data = model.data_preprocessor(_batch(dataset, [0, 1]), False)
    inputs, samples = data['inputs'], data['data_samples']
    with torch.no_grad():
        raw_maps = model(inputs, mode='tensor')
        samples[0].ori_points = samples[0].ori_points[[2, 0]]  # after the pass of the network
        expected = list(model.predict_maps(inputs, samples))
        model._forward = None  # is not called again
        found = list(model.original_maps(raw_maps, inputs, samples))
    assert len(found) == len(expected) == 2
    for one, other in zip(found, expected):
        assert torch.equal(one.scores, other.scores) and torch.equal(one.offset, other.offset)
        assert torch.equal(one.own_scores, other.own_scores)


def test_padding_does_not_change_the_propagated_scores(dataset):
    model = _model(test_cfg=dict(rounds=1)).eval()
    data = model.data_preprocessor(_batch(dataset, [0]), False)
    maps = model._forward(data['inputs'])
    (scores,) = _image_scores(model, data, maps)
    values = (5.0, 0.0, 9.0)
    pad = torch.nn.functional.pad
    wider = [pad(one, (0, 8, 0, 8), value=value) for one, value in zip(maps, values, strict=True)]
    data['inputs'] = pad(data['inputs'], (0, 16, 0, 16))
    data['data_samples'][0].set_metainfo(dict(pad_shape=tuple(data['inputs'].shape[-2:])))
    (padded,) = _image_scores(model, data, wider)
    assert torch.allclose(padded[..., :36, :44], scores[..., :36, :44], atol=1e-5)


def test_rounds_at_inference_change_the_scores(dataset):
    plain, propagated = _model(test_cfg=dict(rounds=0)), _model(test_cfg=dict(rounds=1))
    first, second = (_predict(model, dataset, [0])[0] for model in (plain, propagated))
    scores = [
        torch.cat([sample.pred_instances.scores, torch.zeros(3)])[:3] for sample in (first, second)
    ]
    assert not torch.allclose(*scores)


def test_pretrained_weights_that_cannot_be_had_are_an_error_with_a_way_out():
    model = _model()
    model.backbone.init_cfg = dict(type='Pretrained', checkpoint='not/there.pth')
    with pytest.raises(RuntimeError, match=r'not/there\.pth.*model\.backbone\.init_cfg=None'):
        model.init_weights()


def test_channels_last_changes_the_memory_and_not_the_numbers():
    plain, fast = _model(), _model(channels_last=True)
    fast.load_state_dict(plain.state_dict())
    images = torch.rand(2, 3, 32, 48)
    assert (
        fast.backbone.encoder[0][0]
        .convs[0]
        .conv.weight.is_contiguous(memory_format=torch.channels_last)
    )
    for first, second in zip(plain.eval()(images), fast.eval()(images)):
        assert torch.allclose(first, second, atol=1e-5)


class TestWeakMapAtInference:
    def _scores(self, dataset, **test_cfg):
        model = _model(test_cfg=test_cfg).eval()
        data = model.data_preprocessor(_batch(dataset, [0]), False)
        logits, *_ = model._forward(data['inputs'])
        plain = model.semantic_head.predict_by_feat(logits, tuple(data['inputs'].shape[-2:]))
        return plain[0, :, :40, :48], _image_scores(model, data)[0]

    def test_it_is_averaged_with_the_probabilities(self, dataset):
        plain, scores = self._scores(dataset, use_weak_map=True, network_weight=0.25)
        weak = dataset[0]['data_samples'].gt_sem_seg.sem_seg[0].long()
        one_hot = torch.stack([weak == value for value in range(3)]).float()
        expected = (0.75 * one_hot + 0.25 * plain).where(weak != 255, plain)
        assert torch.allclose(scores, expected, atol=1e-6)

    def test_a_round_propagates_it(self, dataset):
        _, averaged = self._scores(dataset, use_weak_map=True, network_weight=0.25)
        _, propagated = self._scores(dataset, use_weak_map=True, network_weight=0.25, rounds=1)
        assert not torch.allclose(averaged, propagated, atol=1e-3)

    def test_images_of_different_sizes_go_together(self, dataset, tmp_path):
        (tmp_path / 'other').mkdir()
        other = PointVOCDataset(**write_tiny_voc(tmp_path / 'other', size=(52, 33)), pipeline=TRAIN)
        model = _model(test_cfg=dict(use_weak_map=True, network_weight=0.25))
        with torch.no_grad():
            results = model.eval().test_step(pseudo_collate([dataset[0], other[0]]))
        assert [one.pred_instances.masks.shape[1:] for one in results] == [(40, 48), (52, 33)]

    @pytest.mark.parametrize('rounds', [0, 1])
    def test_without_one_the_network_decides_alone(self, dataset, rounds):
        model = _model(test_cfg=dict(use_weak_map=True, network_weight=0.7, rounds=rounds)).eval()
        data = model.data_preprocessor(_batch(dataset, [0]), False)
        del data['data_samples'][0].gt_sem_seg
        (scores,) = _image_scores(model, data)
        alone = _model(test_cfg=dict(network_weight=0.7, rounds=rounds)).eval()
        assert torch.equal(scores, _image_scores(alone, data)[0])
        assert torch.allclose(scores.sum(dim=0), torch.ones(40, 48))

    def test_of_two_images_only_the_one_with_a_map_reads_it(self, dataset):
        model = _model(test_cfg=dict(use_weak_map=True)).eval()
        data = model.data_preprocessor(_batch(dataset, [0, 1]), False)
        del data['data_samples'][1].gt_sem_seg
        first, second = _image_scores(model, data)
        weak = data['data_samples'][0].gt_sem_seg.sem_seg[0].long()
        known = weak != 255
        assert torch.equal(first.argmax(dim=0)[known], weak[known])
        assert ((second > 0) & (second < 1)).all()


def test_rounds_at_inference_need_an_affinity_head():
    with pytest.raises(ValueError, match='expected an affinity_head'):
        _model(affinity_head=None, test_cfg=dict(rounds=1))


ROUND = dict(affinity=dict(type='mmp2seg.GuidedAffinity', iterations=2, dilations=(1, 2)))


@pytest.mark.parametrize('use_embedding', [False, True])
def test_rounds_with_instance_scores_in_training_and_at_inference(dataset, use_embedding):
    scorer = dict(affinity=dict(ROUND['affinity'], use_embedding=use_embedding))
    options = dict(
        distiller=dict(
            type='mmp2seg.MutualDistiller',
            instance_scorer=dict(scorer, stride=2),
            semantic_use='semantic',
        ),
        test_cfg=dict(decoder=dict(scorer=scorer), use_weak_map=True, network_weight=0.5),
    )
    model = _model(**options) if use_embedding else _model(affinity_head=None, **options)
    losses = model(**model.data_preprocessor(_batch(dataset, [0, 1, 2]), True), mode='loss')
    sum(losses.values()).backward()
    assert all(weight.grad.isfinite().all() for weight in model.semantic_head.parameters())
    for sample in _predict(model, dataset, [0, 1]):
        # every click keeps its pixels
        assert len(sample.dropped_points) == 0
        for mask, (x, y) in zip(sample.pred_instances.masks, sample.pred_instances.points):
            assert mask[int(y), int(x)]


def test_an_affinity_of_the_embedding_needs_an_affinity_head():
    scorer = dict(affinity=dict(ROUND['affinity'], use_embedding=True))
    for options in (
        dict(test_cfg=dict(decoder=dict(scorer=scorer))),
        dict(distiller=dict(type='mmp2seg.MutualDistiller', instance_scorer=scorer)),
    ):
        with pytest.raises(ValueError, match='affinity_head'):
            _model(affinity_head=None, **options)


def test_maps_on_request_have_their_confidence(dataset):
    model = _model(test_cfg=dict(return_maps=True))
    (sample,) = _predict(model, dataset, [0])
    confidence = sample.pred_sem_seg.confidence
    assert confidence.shape == sample.pred_sem_seg.sem_seg.shape
    assert (confidence > 0).all() and (confidence <= 1).all()


def _mixed_dataset(dataset):
    """The first image's points: a mask, a point, a box. Its mask has two parts."""
    mask, box = np.zeros((40, 48), bool), np.zeros((40, 48), bool)
    mask[5:12, 4:15], mask[36:39, 40:44], box[22:30, 11:18] = True, True, True
    entries = [dataset.get_data_info(index) for index in range(3)]
    for index, kind, pixels in ((0, 'mask', mask), (2, 'box', box)):
        entries[0]['instances'][index].update(supervision=kind, mask=encode_rle(pixels))
    return [dataset.pipeline(entry) for entry in entries], mask, box


def test_true_masks_are_targets_and_results(dataset):
    """Through packing, padding and the heads, with an image without masks in the batch."""
    samples, mask, box = _mixed_dataset(dataset)
    model = _model()
    seen = {}
    distill = model.distiller.distill
    model.distiller.distill = lambda *args, **kw: seen.setdefault('t', distill(*args, **kw))
    data = model.data_preprocessor(pseudo_collate(samples), True)
    losses = model(**data, mode='loss')
    assert all(loss.isfinite() for loss in losses.values())
    for instance_map, (_, weight) in zip(
        seen['t'].instance_maps[0], seen['t'].offsets, strict=True
    ):
        assert np.array_equal(instance_map[:40, :48].numpy() == 1, mask)
        assert weight[0, :40, :48][torch.from_numpy(mask)].eq(1).all()
        assert not ((instance_map[:40, :48].numpy() == 3) & ~box).any()
    assert (seen['t'].instance_maps[0, 0] == 3).any()
    assert seen['t'].semantic_maps[0][0, :40, :48][torch.from_numpy(mask)].eq(1).all()
    model.eval()
    data = model.data_preprocessor(pseudo_collate(samples), False)
    with torch.no_grad():
        predicted, *others = model(**data, mode='predict')
    pred = predicted.pred_instances
    assert pred.point_ids[0] == 0 and pred.supervision[0] == 'mask' and pred.scores[0] == 1
    assert np.array_equal(pred.masks[0].numpy(), mask)
    assert all('supervision' not in sample.pred_instances for sample in others)


def test_images_that_fill_the_batch_have_no_padding(dataset, monkeypatch):
    model, seen = _model(), []
    distill = model.distiller.distill

    def noting(*args, padding, **options):
        seen.append(padding)
        return distill(*args, padding=padding, **options)

    monkeypatch.setattr(model.distiller, 'distill', noting)
    data = model.data_preprocessor(_batch(dataset, [0, 1]), True)
    height, width = data['inputs'].shape[-2:]
    sizes = [sample.img_shape[:2] for sample in data['data_samples']]
    model(**data, mode='loss')
    for sample in data['data_samples']:
        sample.set_metainfo(dict(img_shape=(height, width)))
    model(**data, mode='loss')
    assert (height, width) not in sizes and seen[1] is None
    for padding, size in zip(seen[0], sizes, strict=True):
        assert padding.sum() == height * width - size[0] * size[1]
        assert not padding[: size[0], : size[1]].any()
