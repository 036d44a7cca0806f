import numpy as np
import pytest
import torch

from mmp2seg.codecs import PointPseudoLabeler
from mmp2seg.ops.masks import masks_to_instance_map
from mmp2seg.ops.offsets import offsets_to_points
from mmp2seg.registry import TASK_UTILS


def _labeler(**options):
    config = dict(
        type='mmp2seg.PointPseudoLabeler', max_snap_distance=0, landing_weight=1, anchor='point'
    )
    return TASK_UTILS.build({**config, **options})


def _encode(rows, points, labels, **options):
    return _labeler(**options).encode(
        np.array(points, dtype=np.float32), np.array(labels), np.array(rows, dtype=np.uint8)
    )


# Two points of class 0 share a region; a second region of class 0 has no point; class 1 has one.
ROWS = [
    [1, 1, 1, 1, 0, 1],
    [1, 1, 1, 1, 0, 1],
    [0, 0, 255, 0, 2, 2],
]
POINTS = [[0.5, 0.5], [3.5, 1.5], [5.0, 2.5]]
LABELS = [0, 0, 1]


def _probs(rows, num_classes=2, certainty=0.9):
    """One-hot-like probabilities of a map of values 0..num_classes."""
    rows = torch.tensor(rows)
    probs = torch.full((num_classes + 1, *rows.shape), (1 - certainty) / num_classes)
    return probs.scatter_(0, rows[None], certainty)


def _decode(rows, points, labels, offset=None, **options):
    probs = _probs(rows)
    if offset is None:
        offset = torch.zeros(2, *probs.shape[1:])
    return _labeler(**options).decode(
        probs, offset, torch.tensor(points).float().reshape(-1, 2), torch.tensor(labels).long()
    )


class TestEncode:
    def test_shared_regions_are_separated_by_distance(self):
        targets = _encode(ROWS, POINTS, LABELS)
        assert targets.instance_map.tolist() == [
            [1, 1, 2, 2, 0, 0],
            [1, 1, 2, 2, 0, 0],
            [0, 0, 0, 0, 3, 3],
        ]
        # Regions without a point, background and ignore have weight 0.
        assert torch.equal(targets.weight, (targets.instance_map > 0).float())
        assert targets.offset[:, 2, 4].tolist() == [0.5, 0.0]
        assert targets.offset[:, 0, 2].tolist() == [1.0, 1.0]

    def test_drop_keeps_regions_of_one_point_only(self):
        targets = _encode(ROWS, POINTS, LABELS, conflict='drop')
        assert targets.instance_map.unique().tolist() == [0, 3]
        assert targets.weight.sum() == 2

    def test_touching_objects_of_one_class_are_two_instances(self):
        targets = _encode([[1, 1, 1, 1]], [[0.5, 0.5], [3.5, 0.5]], [0, 0])
        assert targets.instance_map.tolist() == [[1, 1, 2, 2]]

    @pytest.mark.parametrize(
        ('points', 'expected'), [([[2.5, 0.5]], 2.5), ([[2.5, 0.5], [0.5, 0.5]], 2.5)]
    )
    def test_offsets_aim_at_the_annotated_point_alone_or_not(self, points, expected):
        targets = _encode([[1, 1, 1]], points, [0] * len(points))
        assert targets.offset[0, 0, 2] + 2.5 == expected

    def test_centroid_is_an_option(self):
        targets = _encode([[1, 1, 1]], [[0.5, 0.5]], [0], offset_target='centroid')
        assert targets.offset[0].tolist() == [[1, 0, -1]]

    @pytest.mark.parametrize('point', [[0.0, 0.0], [0.0, 1.2], [1.7, 0.0]])
    def test_points_on_the_first_row_or_column_count(self, point):
        targets = _encode([[1, 1], [1, 1]], [point], [0])
        assert targets.instance_map.tolist() == [[1, 1], [1, 1]]

    def test_more_than_128_points_of_a_class(self):
        points = [[index + 0.5, 0.5] for index in range(200)]
        targets = _encode([[1] * 200], points, [0] * 200)
        assert targets.instance_map[0].tolist() == list(range(1, 201))

    def test_small_regions_are_ignored(self):
        targets = _encode(ROWS, POINTS, LABELS, min_region_area=3)
        assert targets.instance_map.unique().tolist() == [0, 1, 2]

    def test_point_off_its_class_snaps_or_has_no_region(self):
        near = PointPseudoLabeler(max_snap_distance=1.5).encode(
            [[1.5, 0.5]], np.array([0]), np.array([[1, 0, 0]], dtype=np.uint8)
        )
        assert near.instance_map.tolist() == [[1, 0, 0]]
        assert near.offset[0, 0, 0] == 1.0  # aims at the annotated point, off its region
        far = _encode([[1, 0, 0]], [[1.5, 0.5]], [0])
        assert far.point_regions.tolist() == [0]
        assert not far.weight.any()

    def test_no_points_no_foreground_all_ignored(self):
        for rows, points in (([[1, 1]], []), ([[0, 0]], [[0.5, 0.5]]), ([[255, 255]], [])):
            targets = _encode(rows, points, [0] * len(points))
            assert targets.offset.shape == (2, 1, 2)
            assert not targets.weight.any()

    def test_point_outside_is_an_error(self):
        with pytest.raises(ValueError, match=r'inside the 2 x 1 map, got \[2.0, 0.5\]'):
            _encode([[1, 1]], [[2.0, 0.5]], [0])

    def test_order_of_points_only_renames_instances(self):
        first = _encode(ROWS, POINTS, LABELS)
        second = _encode(ROWS, POINTS[::-1], LABELS[::-1])
        assert torch.equal(first.offset, second.offset)
        assert torch.equal(
            4 - second.instance_map[first.weight > 0], first.instance_map[first.weight > 0]
        )

    def test_flip(self):
        rows = np.array(ROWS, dtype=np.uint8)
        flipped_points = [[6 - x, y] for x, y in POINTS]
        flipped = _encode(rows[:, ::-1], flipped_points, LABELS)
        assert torch.equal(flipped.instance_map.flip(1), _encode(ROWS, POINTS, LABELS).instance_map)


class TestRefine:
    def _refine(self, offset, **options):
        targets = _encode(ROWS, POINTS, LABELS, **options)
        regions = dict(region_map=targets.region_map, point_regions=targets.point_regions)
        return _labeler(**options).refine(offset, torch.tensor(POINTS), **regions)

    def test_perfect_offsets_give_the_initial_targets_back(self):
        targets = _encode(ROWS, POINTS, LABELS)
        refined = self._refine(targets.offset)
        assert torch.equal(refined.instance_map, targets.instance_map)
        assert torch.equal(refined.offset, targets.offset)

    def test_pixels_go_to_the_point_they_land_near(self):
        offset = torch.zeros(2, 3, 6)
        offset[0, :, 1] = 2.0  # the second column now lands on the right point's side
        refined = self._refine(offset)
        assert refined.instance_map[:2].tolist() == [[1, 2, 2, 2, 0, 0]] * 2
        assert refined.offset[:, 0, 1].tolist() == [2.0, 1.0]

    def test_regions_without_a_point_keep_weight_zero_wherever_they_land(self):
        offset = torch.zeros(2, 3, 6)
        offset[0, :, 5] = -2.0
        refined = self._refine(offset)
        assert not refined.weight[:2, 5].any()

    def test_dropped_conflicts_come_back_by_offsets(self):
        refined = self._refine(torch.zeros(2, 3, 6), conflict='drop')
        assert refined.instance_map.unique().tolist() == [0, 1, 2, 3]

    def test_targets_carry_no_gradient(self):
        offset = torch.zeros(2, 3, 6, requires_grad=True)
        refined = self._refine(offset * 1.0)
        assert not refined.offset.requires_grad
        assert not refined.weight.requires_grad

    def test_no_points(self):
        refined = _labeler().refine(
            torch.zeros(2, 2, 2),
            torch.zeros(0, 2),
            region_map=torch.zeros(2, 2, dtype=torch.int32),
            point_regions=torch.zeros(0, dtype=torch.int64),
        )
        assert not refined.weight.any()


class TestDecode:
    def test_points_first(self):
        offset = torch.zeros(2, 1, 6)
        offset[0, 0, 2] = 2.0
        decoded = _decode([[1] * 6], [[0.5, 0.5], [5.5, 0.5]], [0, 0], offset)
        assert decoded.masks[:, 0].long().tolist() == [[1, 1, 0, 0, 0, 0], [0, 0, 1, 1, 1, 1]]
        nearest = _decode([[1] * 6], [[0.5, 0.5], [5.5, 0.5]], [0, 0], offset, grouping='nearest')
        assert nearest.masks[0, 0].long().tolist() == [1, 1, 1, 0, 0, 0]

    def test_whole_regions_overlap(self):
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
    def test_landing_weight_goes_from_the_pixel_to_its_landing(self, weight, expected):
        """Pixel 1 lands on the right point, pixel 2 half way: the left point keeps fewer pixels."""
        offset = torch.zeros(2, 1, 6)
        offset[0, 0, 1], offset[0, 0, 2] = 2.5, 4.0
        decoded = _decode(
            [[1] * 6], [[0.5, 0.5], [5.5, 0.5]], [0, 0], offset, landing_weight=weight
        )
        assert decoded.masks[0].sum() == expected

    def test_off_centre_points_are_matched_by_where_they_land(self):
        """Two upright bars side by side, offsets to their middles; one point is at a bar's top."""
        middles = torch.tensor([[1.0, 5.0], [3.0, 5.0]])
        bars = torch.tensor([[1, 1, 2, 2]] * 10, dtype=torch.int32)
        offset, _ = offsets_to_points(bars, middles)
        case = ([[1] * 4] * 10, [[0.5, 0.5], [2.5, 5.5]], [0, 0], offset)
        by_landing = _decode(*case, anchor='landing')
        assert torch.equal(masks_to_instance_map(by_landing.masks), bars)
        by_point = _decode(*case, anchor='point')
        assert by_point.reasons == ['no_pixels']  # its bar lands nearer to the other bar's point

    def test_every_point_is_kept_or_dropped_with_its_reason(self):
        rows = [[1, 1, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0]]
        points = [[0.5, 0.5], [0.5, 0.5], [9.5, 0.5], [4.5, 1.5], [1.5, 0.5]]
        offset = torch.zeros(2, 2, 6)
        offset[0, 0, 1] = -1.0  # lands on the first point, so the last one gets nothing
        decoded = _decode(rows, points, [0, 0, 0, 1, 0], offset)
        assert decoded.kept.tolist() == [0]
        assert decoded.dropped.tolist() == [1, 2, 3, 4]
        assert decoded.reasons == ['duplicate', 'outside_image', 'no_region', 'no_pixels']
        assert decoded.masks.sum() == 2

    def test_only_classes_of_the_points_take_part(self):
        decoded = _decode([[2, 2, 1]], [[2.5, 0.5]], [0])
        # Class 1 is not among the points: its pixels fall to the likelier of the rest.
        assert 2 not in decoded.semantic_map.tolist()[0]
        assert decoded.masks[0, 0, 2]

    def test_score_is_the_mean_class_probability(self):
        decoded = _decode([[1, 1, 0]], [[0.5, 0.5]], [0])
        assert decoded.scores.tolist() == pytest.approx([0.9])

    def test_orphan_regions_go_to_the_point_they_land_close_to(self):
        rows = [[1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1]]
        offset = torch.zeros(2, 1, 12)
        offset[0, 0, 4] = -3.0  # lands one pixel from the point
        decoded = _decode(rows, [[0.5, 0.5]], [0], offset, max_landing_distance=2)
        assert decoded.masks[0, 0].nonzero().flatten().tolist() == [0, 1, 4]
        strict = _decode(rows, [[0.5, 0.5]], [0], offset, max_landing_distance=0)
        assert strict.masks[0, 0].nonzero().flatten().tolist() == [0, 1]

    def test_masks_are_disjoint_and_of_the_right_class(self):
        decoded = _decode([[1, 1, 2, 2]], [[0.5, 0.5], [3.5, 0.5]], [0, 1])
        assert decoded.masks.sum(dim=0).max() == 1
        assert decoded.masks[:, 0].long().tolist() == [[1, 1, 0, 0], [0, 0, 1, 1]]

    def test_equal_points_of_different_classes_are_no_duplicates(self):
        decoded = _decode([[1, 2]], [[1.0, 0.5], [1.0, 0.5]], [0, 1], max_landing_distance=1)
        assert 'duplicate' not in decoded.reasons

    def test_no_points(self):
        decoded = _decode([[1, 2]], [], [])
        assert decoded.masks.shape == (0, 1, 2)
        assert decoded.scores.shape == decoded.kept.shape == (0,)
        assert decoded.reasons == []
        assert not decoded.semantic_map.any()


def test_regions_are_those_of_encode():
    targets = _encode(ROWS, POINTS, LABELS, min_region_area=2)
    case = torch.tensor(POINTS), torch.tensor(LABELS), torch.tensor(ROWS)
    region_map, point_regions = _labeler(min_region_area=2).regions(*case)
    assert torch.equal(region_map, targets.region_map)
    assert torch.equal(point_regions, targets.point_regions)


def test_encode_then_decode_gives_the_instances_back():
    targets = _encode(ROWS, POINTS, LABELS)
    rows = torch.tensor(ROWS)
    rows[rows == 255] = 0
    decoded = _labeler(max_landing_distance=0).decode(
        _probs(rows.tolist()), targets.offset, torch.tensor(POINTS), torch.tensor(LABELS)
    )
    assert decoded.kept.tolist() == [0, 1, 2]
    for index, mask in enumerate(decoded.masks):
        assert torch.equal(mask, targets.instance_map == index + 1)


def test_landing_weight_out_of_range():
    with pytest.raises(ValueError, match=r'landing_weight in \[0, 1\], got 1.5'):
        PointPseudoLabeler(landing_weight=1.5)


@pytest.mark.parametrize('option', ['conflict', 'offset_target', 'grouping', 'anchor'])
def test_unknown_options_are_named(option):
    with pytest.raises(ValueError, match=f"expected {option} to be one of .* got 'best'"):
        PointPseudoLabeler(**{option: 'best'})


@pytest.mark.parametrize('offset_target', ['point', 'centroid'])
def test_refinement_reads_nothing_back_from_the_device(offset_target):
    """Meta tensors have no values: whatever needs one (``item``, a mask as index) raises.

    They stand for a device: on a CPU, where values are at hand, the grouping may go by them.
    """
    labeler = _labeler(offset_target=offset_target)
    with torch.device('meta'):
        refined = labeler.refine(
            torch.zeros(2, 64, 48),
            torch.zeros(12, 2),
            region_map=torch.zeros(64, 48, dtype=torch.int32),
            point_regions=torch.zeros(12, dtype=torch.int64),
        )
    assert refined.offset.shape == (2, 64, 48)
    assert refined.offset.device.type == 'meta'
