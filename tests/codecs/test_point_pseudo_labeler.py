import numpy as np
import pytest
import torch

from mmp2seg.codecs import GivenMasks, ImagePoints, PointPseudoLabeler
from mmp2seg.ops.components import find_regions
from mmp2seg.registry import TASK_UTILS


def _labeler(**options):
    config = dict(type='mmp2seg.PointPseudoLabeler', max_snap_distance=0)
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


class TestRefinedTargets:
    def _refine(self, offset, **options):
        labeler = _labeler(**options)
        regions = find_regions(np.array(ROWS, dtype=np.uint8), np.array(LABELS))
        points, labels = torch.tensor(POINTS), torch.tensor(LABELS)
        return labeler.targets(
            points,
            region_map=regions.region_map,
            point_regions=labeler.point_regions(points, labels, regions),
            offset=offset,
        )

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
        refined = _labeler().targets(
            torch.zeros(0, 2),
            region_map=torch.zeros(2, 2, dtype=torch.int32),
            point_regions=torch.zeros(0, dtype=torch.int64),
            offset=torch.zeros(2, 2, 2),
        )
        assert not refined.weight.any()


@pytest.mark.parametrize('seed', range(30))
@pytest.mark.parametrize('offset_target', ['point', 'centroid'])
def test_initial_targets_are_those_refined_by_an_offset_of_zero(seed, offset_target):
    rng = np.random.default_rng(seed)
    rows = np.kron(rng.integers(0, 4, (6, 8)), np.ones((5, 5))).astype(np.uint8)
    labels = torch.from_numpy(rng.integers(0, 3, 12))
    points = torch.from_numpy((rng.random((12, 2)) * [40, 30]).astype(np.float32))
    regions = find_regions(rows, labels.numpy())
    labeler = _labeler(offset_target=offset_target, max_snap_distance=4)
    options = dict(
        region_map=regions.region_map, point_regions=labeler.point_regions(points, labels, regions)
    )
    initial = labeler.targets(points, **options)
    refined = labeler.targets(points, **options, offset=torch.zeros(2, 30, 40))
    encoded = labeler.encode(points.numpy(), labels.numpy(), rows)
    for name in ('instance_map', 'offset', 'weight'):
        assert torch.equal(getattr(initial, name), getattr(refined, name))
        assert torch.equal(getattr(initial, name), getattr(encoded, name))
    assert initial.weight.any()


@pytest.mark.parametrize('option', ['conflict', 'offset_target'])
def test_unknown_options_are_named(option):
    with pytest.raises(ValueError, match=f"expected {option} to be one of .* got 'best'"):
        PointPseudoLabeler(**{option: 'best'})


@pytest.mark.parametrize('refined', [False, True])
@pytest.mark.parametrize('options', [{}, {'offset_target': 'centroid'}, {'conflict': 'drop'}])
def test_targets_read_nothing_back_from_the_device(options, refined):
    """Meta tensors have no values: whatever needs one (``item``, a mask as index) raises.

    They stand for a device: on a CPU, where values are available, the grouping may use them.
    """
    labeler = _labeler(**options)
    with torch.device('meta'):
        targets = labeler.targets(
            torch.zeros(12, 2),
            region_map=torch.zeros(64, 48, dtype=torch.int32),
            point_regions=torch.zeros(12, dtype=torch.int64),
            offset=torch.zeros(2, 64, 48) if refined else None,
        )
    assert targets.offset.shape == (2, 64, 48)
    assert targets.offset.device.type == 'meta'


class TestGivenMasks:
    """Points 0 and 1 share a region of class 0; the weak map has too little of the first."""

    SEMANTIC = [[0, 1, 1, 1, 1, 0]]
    POINTS = torch.tensor([[1.5, 0.5], [4.5, 0.5]])

    def _targets(self, given, offset=None, **options):
        labels = torch.zeros(2, dtype=torch.int64)
        regions = find_regions(np.array(self.SEMANTIC, np.uint8), labels.numpy())
        image = ImagePoints(self.POINTS, labels, regions, given)
        return _labeler(**options).image_targets(image, offset)

    @pytest.mark.parametrize('options', [{}, dict(conflict='drop')])
    @pytest.mark.parametrize('refined', [False, True])
    def test_a_true_mask_is_the_instance_with_full_weight(self, options, refined):
        mask = torch.tensor([[[1, 1, 1, 1, 0, 0]]], dtype=torch.bool)
        given = GivenMasks(torch.tensor([0]), mask, torch.tensor([True]))
        # offsets that all land on the other point do not change it
        offset = None
        if refined:
            offset = torch.zeros(2, 1, 6)
            offset[0] = 4.5 - (torch.arange(6) + 0.5)
        targets = self._targets(given, offset, **options)
        assert targets.instance_map[0, :4].tolist() == [1, 1, 1, 1]
        assert targets.weight[0, :4].tolist() == [1, 1, 1, 1]
        assert (targets.offset[0, 0, :4] + torch.arange(4) + 0.5).tolist() == [1.5] * 4
        assert targets.instance_map[0, 4] == (0 if options and not refined else 2)

    def test_a_box_limits_the_region_of_its_point_alone(self):
        box = torch.tensor([[[1, 1, 0, 0, 0, 0]]], dtype=torch.bool)
        given = GivenMasks(torch.tensor([0]), box, torch.tensor([False]))
        assert self._targets(given).instance_map.tolist() == [[0, 1, 2, 2, 2, 0]]
        assert self._targets(None).instance_map.tolist() == [[0, 1, 1, 2, 2, 0]]
