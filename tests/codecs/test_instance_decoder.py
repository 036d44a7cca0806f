import numpy as np
import pytest
import torch

from mmp2seg.codecs import (
    DROP_REASONS,
    GivenMasks,
    InstanceDecoder,
    InstanceScorer,
    PointPseudoLabeler,
)
from mmp2seg.ops.components import find_regions
from mmp2seg.ops.masks import masks_to_instance_map
from mmp2seg.ops.offsets import offsets_to_points
from mmp2seg.ops.semantic_scores import image_values
from mmp2seg.registry import TASK_UTILS

LABELER = dict(type='mmp2seg.PointPseudoLabeler', max_snap_distance=0)


def _decoder(**options):
    config = dict(type='mmp2seg.InstanceDecoder', labeler=LABELER, landing_weight=1, anchor='point')
    return TASK_UTILS.build({**config, **options})


def _probs(rows, num_classes=2, certainty=0.9):
    """One-hot-like probabilities of a map of values 0..num_classes."""
    rows = torch.tensor(rows)
    probs = torch.full((num_classes + 1, *rows.shape), (1 - certainty) / num_classes)
    return probs.scatter_(0, rows[None], certainty)


def _decode(rows, points, labels, offset=None, **options):
    probs = _probs(rows)
    if offset is None:
        offset = torch.zeros(2, *probs.shape[1:])
    return _decoder(**options).decode(
        probs, offset, torch.tensor(points).double().reshape(-1, 2), torch.tensor(labels).long()
    )


def test_points_first():
    offset = torch.zeros(2, 1, 6)
    offset[0, 0, 2] = 2.0
    decoded = _decode([[1] * 6], [[0.5, 0.5], [5.5, 0.5]], [0, 0], offset)
    assert decoded.masks[:, 0].long().tolist() == [[1, 1, 0, 0, 0, 0], [0, 0, 1, 1, 1, 1]]
    nearest = _decode([[1] * 6], [[0.5, 0.5], [5.5, 0.5]], [0, 0], offset, grouping='nearest')
    assert nearest.masks[0, 0].long().tolist() == [1, 1, 1, 0, 0, 0]


def test_whole_regions_overlap():
    """Two points share a region of five pixels, a third has one of its own."""
    decoded = _decode(
        [[1, 1, 1, 1, 1, 0, 0, 2, 2]],
        [[0.5, 0.5], [4.5, 0.5], [7.5, 0.5]],
        [0, 0, 1],
        torch.zeros(2, 1, 9),
        grouping='region',
    )
    expected = [[1, 1, 1, 1, 1, 0, 0, 0, 0]] * 2 + [[0, 0, 0, 0, 0, 0, 0, 1, 1]]
    assert decoded.masks[:, 0].long().tolist() == expected
    assert decoded.kept.tolist() == [0, 1, 2]
    assert decoded.scores.tolist() == pytest.approx([0.9, 0.9, 0.9])


@pytest.mark.parametrize(('weight', 'expected'), [(0, 3), (0.5, 2), (1, 1)])
def test_landing_weight_goes_from_the_pixel_to_its_landing(weight, expected):
    """Pixel 1 lands on the right point, pixel 2 half way: the left point keeps fewer pixels."""
    offset = torch.zeros(2, 1, 6)
    offset[0, 0, 1], offset[0, 0, 2] = 2.5, 4.0
    decoded = _decode([[1] * 6], [[0.5, 0.5], [5.5, 0.5]], [0, 0], offset, landing_weight=weight)
    assert decoded.masks[0].sum() == expected


def test_off_centre_points_are_matched_by_where_they_land():
    """Two upright bars side by side, offsets to their middles; one point is at a bar's top."""
    middles = torch.tensor([[1.0, 5.0], [3.0, 5.0]])
    bars = torch.tensor([[1, 1, 2, 2]] * 10, dtype=torch.int32)
    offset, _ = offsets_to_points(bars, middles)
    case = ([[1] * 4] * 10, [[0.5, 0.5], [2.5, 5.5]], [0, 0], offset)
    by_landing = _decode(*case, anchor='landing')
    assert torch.equal(masks_to_instance_map(by_landing.masks), bars)
    by_point = _decode(*case, anchor='point')
    assert by_point.reasons == ['no_pixels']  # its bar lands nearer to the other bar's point


def test_every_point_is_kept_or_dropped_with_its_reason():
    rows = [[1, 1, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0]]
    points = [[0.5, 0.5], [0.5, 0.5], [9.5, 0.5], [4.5, 1.5], [1.5, 0.5]]
    offset = torch.zeros(2, 2, 6)
    offset[0, 0, 1] = -1.0  # lands on the first point, so the last one gets nothing
    decoded = _decode(rows, points, [0, 0, 0, 1, 0], offset)
    assert decoded.kept.tolist() == [0]
    assert decoded.dropped.tolist() == [1, 2, 3, 4]
    assert decoded.reasons == ['duplicate', 'outside_image', 'no_region', 'no_pixels']
    assert decoded.masks.sum() == 2


def test_only_classes_of_the_points_take_part():
    decoded = _decode([[2, 2, 1]], [[2.5, 0.5]], [0])
    # Class 1 is not among the points: its pixels fall to the likelier of the rest.
    assert 2 not in decoded.semantic_map.tolist()[0]
    assert decoded.masks[0, 0, 2]


def test_score_is_the_mean_class_probability():
    decoded = _decode([[1, 1, 0]], [[0.5, 0.5]], [0])
    assert decoded.scores.tolist() == pytest.approx([0.9])


def test_orphan_regions_go_to_the_point_they_land_close_to():
    rows = [[1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1]]
    offset = torch.zeros(2, 1, 12)
    offset[0, 0, 4] = -3.0  # lands one pixel from the point
    decoded = _decode(rows, [[0.5, 0.5]], [0], offset, max_landing_distance=2)
    assert decoded.masks[0, 0].nonzero().flatten().tolist() == [0, 1, 4]
    strict = _decode(rows, [[0.5, 0.5]], [0], offset, max_landing_distance=0)
    assert strict.masks[0, 0].nonzero().flatten().tolist() == [0, 1]


def test_masks_are_disjoint_and_of_the_right_class():
    decoded = _decode([[1, 1, 2, 2]], [[0.5, 0.5], [3.5, 0.5]], [0, 1])
    assert decoded.masks.sum(dim=0).max() == 1
    assert decoded.masks[:, 0].long().tolist() == [[1, 1, 0, 0], [0, 0, 1, 1]]


def test_equal_points_of_different_classes_are_no_duplicates():
    decoded = _decode([[1, 2]], [[1.0, 0.5], [1.0, 0.5]], [0, 1], max_landing_distance=1)
    assert 'duplicate' not in decoded.reasons


def test_no_points():
    decoded = _decode([[1, 2]], [], [])
    assert decoded.masks.shape == (0, 1, 2)
    assert decoded.scores.shape == decoded.kept.shape == (0,)
    assert decoded.reasons == []
    assert not decoded.semantic_map.any()


def test_scores_of_the_image_values_alone_give_the_same():
    probs, offset = _probs([[1, 1, 2, 2, 0]], num_classes=5), torch.rand(2, 1, 5)
    points, labels = torch.tensor([[0.5, 0.5], [3.5, 0.5]]).double(), torch.tensor([0, 1])
    values = image_values(labels)
    of_all = _decoder().decode(probs, offset, points, labels)
    of_image = _decoder().decode(probs[values], offset, points, labels, values=values)
    for name in ('masks', 'scores', 'kept', 'dropped', 'semantic_map'):
        assert torch.equal(getattr(of_all, name), getattr(of_image, name))


def test_points_are_placed_in_float64():
    """In float32 the point would be 2.0, on the pixel of the other class."""
    point = torch.tensor([[2 - 1e-12, 0.5]], dtype=torch.float64)
    decoded = _decoder().decode(
        _probs([[1, 1, 2, 2]]), torch.zeros(2, 1, 4), point, torch.tensor([0])
    )
    assert decoded.kept.tolist() == [0]
    assert decoded.masks[0, 0, :2].all()


# Two points of class 0 share a region; class 1 has one; 255 is no class.
ROWS = [[1, 1, 1, 1, 0, 1], [1, 1, 1, 1, 0, 1], [0, 0, 255, 0, 2, 2]]
POINTS, LABELS = torch.tensor([[0.5, 0.5], [3.5, 1.5], [5.0, 2.5]]), torch.tensor([0, 0, 1])


def test_the_targets_of_a_map_are_its_instances():
    labeler = PointPseudoLabeler(max_snap_distance=0)
    regions = find_regions(np.array(ROWS, dtype=np.uint8), LABELS.numpy())
    targets = labeler.targets(
        POINTS,
        region_map=regions.region_map,
        point_regions=labeler.point_regions(POINTS, LABELS, regions),
    )
    decoder = _decoder(max_landing_distance=0)
    decoded = decoder.cut(torch.tensor(ROWS), POINTS, LABELS, offset=targets.offset)
    assert decoded.kept.tolist() == [0, 1, 2]
    assert torch.equal(masks_to_instance_map(decoded.masks), targets.instance_map)
    assert decoded.scores.tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ('grouping', 'expected'),
    [
        ('nearest', [[[1, 1, 0, 0, 0, 0]] * 2 + [[0] * 6], [[0, 0, 1, 1, 0, 0]] * 2 + [[0] * 6]]),
        ('region', [[[1, 1, 1, 1, 0, 0]] * 2 + [[0] * 6]] * 2),
    ],
)
def test_a_map_alone_is_enough_for_the_groupings_without_offsets(grouping, expected):
    decoded = _decoder(grouping=grouping).cut(torch.tensor(ROWS), POINTS, LABELS)
    assert decoded.masks[:2].long().tolist() == expected


def test_offsets_are_needed_to_group_by_them():
    with pytest.raises(ValueError, match="offset field for the grouping 'offset', got none"):
        _decoder().cut(torch.tensor(ROWS), POINTS, LABELS)


def test_regions_are_those_of_the_labeler():
    decoder = _decoder(labeler={**LABELER, 'min_region_area': 3}, grouping='nearest')
    decoded = decoder.cut(torch.tensor(ROWS), POINTS, LABELS)
    assert decoded.reasons == ['no_region']  # class 1 has two pixels
    built = PointPseudoLabeler()
    assert InstanceDecoder(labeler=built).labeler is built


def test_only_listed_reasons_occur():
    points = torch.tensor([[0.5, 0.5], [0.5, 0.5], [5.0, 0.5], [1.5, 0.5]])
    decoded = _decoder(grouping='nearest').cut(
        torch.tensor([[1, 0]]), points, torch.tensor([0, 0, 0, 1])
    )
    assert decoded.reasons == ['duplicate', 'outside_image', 'no_region']
    assert set(decoded.reasons) < set(DROP_REASONS)


def test_landing_weight_out_of_range():
    with pytest.raises(ValueError, match=r'landing_weight in \[0, 1\], got 1.5'):
        InstanceDecoder(labeler=LABELER, landing_weight=1.5)


@pytest.mark.parametrize('option', ['grouping', 'anchor'])
def test_unknown_options_are_named(option):
    with pytest.raises(ValueError, match=f"expected {option} to be one of .* got 'best'"):
        InstanceDecoder(labeler=LABELER, **{option: 'best'})


SCORER = dict(affinity=dict(type='mmp2seg.GuidedAffinity', iterations=2, dilations=(1,)))


def test_a_scorer_takes_the_place_of_regions():
    """A click outside of its class's region gets its own pixels instead of 'no_region'."""
    rows = [[1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]]
    case = (_probs(rows), torch.zeros(2, 1, 13), torch.tensor([[0.5, 0.5], [12.5, 0.5]]))
    labels = torch.tensor([0, 0])
    assert _decoder().decode(*case, labels).reasons == ['no_region']
    scorer = dict(SCORER, click_radius=1.0)
    decoded = _decoder(scorer=scorer).decode(
        *case, labels, image=torch.rand(3, 1, 13, generator=torch.Generator().manual_seed(0))
    )
    assert decoded.reasons == [] and decoded.kept.tolist() == [0, 1]
    assert decoded.masks[0, 0].nonzero().flatten().tolist() == [0, 1, 2]
    assert decoded.masks[1, 0].nonzero().flatten().tolist() == [11, 12]
    assert decoded.semantic_map[0].tolist() == [1, 1, 1, *[0] * 8, 1, 1]
    assert decoded.confidence.shape == (1, 13) and decoded.confidence[0, 12] == 1


def test_with_a_scorer_misplaced_points_have_their_reasons():
    decoder = _decoder(scorer=dict(SCORER, click_radius=0.0))
    assert decoder.needs_image and not decoder.needs_embedding
    points = torch.tensor([[1.5, 0.5], [1.5, 0.5], [9.0, 0.5], [1.6, 0.6]])
    decoded = decoder.decode(
        _probs([[1, 1, 1, 0, 0]]),
        torch.zeros(2, 1, 5),
        points,
        torch.tensor([0, 0, 0, 1]),
        image=torch.rand(3, 1, 5),
    )
    assert decoded.kept.tolist() == [0]
    assert decoded.reasons == ['duplicate', 'outside_image', 'no_pixels']


def test_a_built_scorer_is_used_as_it_is():
    scorer = InstanceScorer()
    decoder = InstanceDecoder(labeler=LABELER, scorer=scorer)
    assert decoder.scorer is scorer and not decoder.needs_image


def _given(point, rows, kind='mask'):
    limits = torch.tensor([rows], dtype=torch.bool)
    return GivenMasks(torch.tensor([point]), limits, torch.tensor([kind == 'mask']))


SCORERS = [None, dict(click_radius=0), dict(affinity=dict(type='mmp2seg.GuidedAffinity'))]


@pytest.mark.parametrize('scorer', SCORERS)
@pytest.mark.parametrize('grouping', ['offset', 'nearest', 'region'])
def test_a_true_mask_is_kept_as_it_is(scorer, grouping):
    """The network sees the first object nowhere, and its mask has two parts."""
    mask = [[1, 0, 1, 0, 0, 0, 0]]
    probs, points = _probs([[0, 0, 0, 0, 1, 1, 1]]), torch.tensor([[0.5, 0.5], [5.5, 0.5]])
    decoded = _decoder(scorer=scorer, grouping=grouping).decode(
        probs,
        torch.zeros(2, 1, 7),
        points.double(),
        torch.tensor([1, 0]),
        image=torch.zeros(3, 1, 7),
        given=_given(0, mask),
    )
    assert decoded.kept.tolist() == [0, 1] and not decoded.reasons
    assert decoded.masks[0].long().tolist() == mask
    assert decoded.scores[0] == 1


@pytest.mark.parametrize('scorer', SCORERS)
def test_a_mask_is_never_dropped(scorer):
    """Points 0 and 1 are at one place; the mask of the second is outside the image's region."""
    points = torch.tensor([[0.5, 0.5], [0.5, 0.5], [9.5, 0.5]], dtype=torch.float64)
    decoded = _decoder(scorer=scorer).decode(
        _probs([[1, 1, 0]]),
        torch.zeros(2, 1, 3),
        points,
        torch.zeros(3, dtype=torch.int64),
        image=torch.zeros(3, 1, 3),
        given=_given(1, [[0, 0, 1]]),
    )
    assert decoded.kept.tolist() == [0, 1]
    assert decoded.masks[1].long().tolist() == [[0, 0, 1]]
    assert (decoded.dropped.tolist(), decoded.reasons) == ([2], ['outside_image'])


@pytest.mark.parametrize('grouping', ['offset', 'nearest'])
def test_a_box_limits_the_region(grouping):
    decoded = _decoder(grouping=grouping).decode(
        _probs([[1, 1, 1, 1, 1]]),
        torch.zeros(2, 1, 5),
        torch.tensor([[1.5, 0.5], [4.5, 0.5]]).double(),
        torch.zeros(2, dtype=torch.int64),
        given=_given(0, [[1, 1, 0, 0, 0]], kind='box'),
    )
    assert masks_to_instance_map(decoded.masks).tolist() == [[1, 1, 2, 2, 2]]
    assert decoded.scores.tolist() == pytest.approx([0.9, 0.9])
