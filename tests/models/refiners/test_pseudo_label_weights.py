import numpy as np
import pytest
import torch
from mmdet.structures.mask import PolygonMasks

from mmp2seg.models.refiners import PseudoLabelWeights
from mmp2seg.models.refiners.pseudo_label_weights import (
    conflict_zone,
    uncertain_pixels,
    weights_of_scores,
)


def grid(text):
    """Parse rows of digits; '.' is 0."""
    return np.array([[int(c) for c in row.replace('.', '0')] for row in text.split()])


def masks_of(text, count):
    return np.stack([grid(text) == number for number in range(1, count + 1)])


def zone_of(text, labels, reach):
    masks = masks_of(text, len(labels))
    return conflict_zone(masks, np.array(labels), shape=masks.shape[1:], reach=reach).astype(int)


def test_zone_is_on_both_sides_of_a_border_and_beyond_its_end():
    instances = """
        111222..
        111222..
        111222..
        ........
        ........
    """
    expected = """
        ..11....
        ..11....
        ..11....
        ..11....
        ........
    """
    assert np.array_equal(zone_of(instances, [0, 0], 1), grid(expected))
    wider = """
        .1111...
        .1111...
        .1111...
        .1111...
        .1111...
    """
    assert np.array_equal(zone_of(instances, [0, 0], 2), grid(wider))


def test_zone_needs_two_masks_of_one_class():
    assert not zone_of('111222', [0, 1], 2).any()
    assert not zone_of('111...', [0], 2).any()
    assert zone_of('12.3', [0, 1, 0], 2).tolist() == [[0, 1, 1, 0]]


def test_zone_of_an_empty_mask_and_of_none():
    assert not zone_of('111...', [0, 0], 2).any()
    none = conflict_zone(np.zeros((0, 2, 3)), np.zeros(0, dtype=int), shape=(2, 3), reach=1)
    assert none.shape == (2, 3) and not none.any()


def test_zone_does_not_depend_on_flips_and_order():
    rng = np.random.default_rng(0)
    masks = rng.random((4, 12, 9)) > 0.9
    labels = np.array([0, 1, 0, 0])
    zone = conflict_zone(masks, labels, shape=(12, 9), reach=1)
    flipped = conflict_zone(masks[::-1, :, ::-1], labels[::-1], shape=(12, 9), reach=1)
    assert zone.any() and np.array_equal(zone, flipped[:, ::-1])


def test_uncertain_pixels():
    masks = masks_of('1122..', 2)
    semantic_map = np.array([[2, 255, 1, 2, 0, 1]])
    labels = np.array([1, 0])
    void = uncertain_pixels(semantic_map, masks, labels, rule='void')
    assert void.astype(int).tolist() == [[0, 1, 0, 0, 0, 0]]
    disagreement = uncertain_pixels(semantic_map, masks, labels, rule='disagreement')
    assert disagreement.astype(int).tolist() == [[0, 1, 0, 1, 0, 1]]
    none = uncertain_pixels(semantic_map, masks[:0], labels[:0], rule='disagreement')
    assert none.astype(int).tolist() == [[1, 1, 1, 1, 0, 1]]


def test_weights_have_the_mean_one_over_the_batch():
    scores = [torch.tensor([0.5, 1.0]), torch.zeros(0), torch.tensor([0.75])]
    weights = weights_of_scores(scores, power=1.0)
    assert [len(weight) for weight in weights] == [2, 0, 1]
    torch.testing.assert_close(torch.cat(weights), torch.tensor([2 / 3, 4 / 3, 1.0]))
    squared = torch.cat(weights_of_scores(scores, power=2.0))
    torch.testing.assert_close(squared[1] / squared[0], torch.tensor(4.0))
    assert torch.cat(weights_of_scores(scores, power=0.0)).tolist() == [1, 1, 1]


def test_weights_of_nothing_and_of_scores_of_zero():
    assert weights_of_scores([torch.zeros(0)], power=1.0)[0].shape == (0,)
    assert weights_of_scores([torch.zeros(2)], power=1.0)[0].tolist() == [0, 0]


@pytest.mark.parametrize('score', [-0.1, float('nan')])
def test_scores_that_cannot_be_weights(score):
    with pytest.raises(ValueError, match='expected scores of at least 0'):
        weights_of_scores([torch.tensor([0.5, score])], power=1.0)


def test_attach_unites_what_is_ignored_and_counts_padding(make_sample):
    masks = np.zeros((2, 4, 8), dtype=np.uint8)
    masks[0, :, :2] = masks[1, :, 2:4] = 1
    semantic_map = np.zeros((3, 6), dtype=np.uint8)  # smaller: only the masks are padded
    semantic_map[:, :4] = 1
    semantic_map[0, 5] = 255
    sample = make_sample(masks, [0, 0], scores=[0.25, 0.75], semantic_map=semantic_map)
    sample.set_metainfo(dict(img_shape=(3, 6)))
    PseudoLabelWeights(score_weight=1, ignore_border=1, ignore_semantic='disagreement').attach(
        [sample]
    )
    assert sample.gt_instances.loss_weights.tolist() == [0.5, 1.5]
    expected = """
        .11..1..
        .11.....
        .11.....
        .11.....
    """
    assert np.array_equal(sample.gt_instances.ignored_pixels, grid(expected))


def test_a_map_that_stayed_behind_its_image(make_sample):
    semantic_map = np.zeros((3, 6), dtype=np.uint8)
    sample = make_sample(np.ones((1, 4, 8)), [0], semantic_map=semantic_map)
    with pytest.raises(ValueError, match=r'size \(4, 8\) of its image, got \(3, 6\)'):
        PseudoLabelWeights(ignore_semantic='void').attach([sample])


def test_attach_reads_polygons_as_it_reads_bitmaps(make_sample):
    masks = np.zeros((2, 8, 12), dtype=np.uint8)
    masks[0, 2:6, 1:5] = masks[1, 2:6, 5:9] = 1
    bitmaps, polygons = make_sample(masks, [0, 0]), make_sample(masks, [0, 0])
    corners = [[np.array([x, 2, x + 4, 2, x + 4, 6, x, 6])] for x in (1, 5)]
    polygons.gt_instances.masks = PolygonMasks(corners, 8, 12)
    PseudoLabelWeights(ignore_border=1).attach([bitmaps, polygons])
    ignored = bitmaps.gt_instances.ignored_pixels
    assert ignored.any() and np.array_equal(polygons.gt_instances.ignored_pixels, ignored)


def test_attach_without_options_of_a_kind(make_sample):
    sample = make_sample(np.ones((1, 2, 2)), [0])
    PseudoLabelWeights(ignore_border=3).attach([sample])
    assert sample.gt_instances.loss_weights.tolist() == [1]
    assert not sample.gt_instances.ignored_pixels.any()
    with pytest.raises(ValueError, match="folder 'seg'"):
        PseudoLabelWeights(ignore_semantic='void').attach([sample])
    with pytest.raises(ValueError, match='expected scores of the pseudo labels'):
        PseudoLabelWeights(score_weight=1).attach([sample])


def test_options():
    assert not PseudoLabelWeights().is_on
    for option in (dict(score_weight=0.5), dict(ignore_border=1), dict(ignore_semantic='void')):
        assert PseudoLabelWeights(**option).is_on


@pytest.mark.parametrize(
    'option',
    [
        dict(score_weight=-1),
        dict(ignore_border=-1),
        dict(ignore_border=1.5),
        dict(ignore_semantic='all'),
    ],
)
def test_options_outside_their_range(option):
    with pytest.raises(ValueError, match=f'expected.*{next(iter(option))}'):
        PseudoLabelWeights(**option)


def test_kinds_have_their_own_weights(make_sample):
    sample = make_sample(np.ones((3, 2, 2)), [0, 0, 1], scores=[0.5, 1.0, 0.5])
    sample.gt_instances.supervision = torch.tensor([0, 2, 1])
    weights = PseudoLabelWeights(supervision_weights=dict(mask=3, box=2))
    assert weights.is_on
    weights.attach([sample])
    assert sample.gt_instances.loss_weights.tolist() == pytest.approx([0.5, 1.5, 1.0])
    weights = PseudoLabelWeights(score_weight=1, supervision_weights=dict(point=2))
    weights.attach([sample])  # 1, 1, .5 with the mean 2.5 / 3
    assert sample.gt_instances.loss_weights.tolist() == pytest.approx([1.2, 1.2, 0.6])


def test_equal_weights_of_all_kinds_are_none():
    assert not PseudoLabelWeights(supervision_weights=dict(point=2, box=2, mask=2)).is_on
    assert not PseudoLabelWeights(supervision_weights={}).is_on


def test_kinds_are_needed_for_their_weights(make_sample):
    sample = make_sample(np.ones((1, 2, 2)), [0])
    with pytest.raises(ValueError, match='supervision_weights expected supervision of the pseudo'):
        PseudoLabelWeights(supervision_weights=dict(mask=2)).attach([sample])


@pytest.mark.parametrize('weights', [dict(masks=1), dict(mask=-1), dict(box=float('inf'))])
def test_weights_of_kinds_that_are_none(weights):
    with pytest.raises(ValueError, match='expected supervision_weights of'):
        PseudoLabelWeights(supervision_weights=weights)
