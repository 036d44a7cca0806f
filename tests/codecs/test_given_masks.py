import pytest
import torch

from mmp2seg.codecs import GivenMasks
from mmp2seg.codecs.given_masks import divide_by_nearest
from mmp2seg.ops.coords import pixel_centers


def given_of(entries, size=None):
    """Entries are (point, 'mask' or 'box', rows of 0 and 1)."""
    limits = [torch.tensor(rows, dtype=torch.bool) for _, _, rows in entries]
    return GivenMasks(
        torch.tensor([point for point, _, _ in entries], dtype=torch.int64),
        torch.stack(limits) if limits else torch.zeros(0, *size, dtype=torch.bool),
        torch.tensor([kind == 'mask' for _, kind, _ in entries], dtype=torch.bool),
    )


MASK_2 = (2, 'mask', [[0, 1, 1, 1, 0], [0, 1, 1, 1, 0]])
BOX_0 = (0, 'box', [[1, 1, 0, 0, 0], [1, 1, 0, 0, 0]])


def test_the_smaller_of_two_masks_owns_a_pixel_and_a_box_owns_none():
    small = (4, 'mask', [[0, 0, 1, 0, 0], [0, 0, 0, 0, 0]])
    expected = [[0, 3, 5, 3, 0], [0, 3, 3, 3, 0]]
    for entries in ([BOX_0, MASK_2, small], [BOX_0, small, MASK_2]):
        assert given_of(entries).owners.tolist() == expected
    assert given_of([], (2, 5)).owners.tolist() == [[0] * 5] * 2


def test_some_points_are_numbered_anew():
    chosen = given_of([BOX_0, MASK_2]).of_points(torch.tensor([1, 2, 4]))
    assert (chosen.points.tolist(), chosen.is_mask.tolist()) == ([1], [True])
    assert chosen.limits.tolist() == given_of([MASK_2]).limits.tolist()


def test_a_window_and_a_coarser_grid():
    given = given_of([MASK_2])
    assert given.cropped((slice(0, 1), slice(2, 5))).limits.tolist() == [[[1, 1, 0]]]
    # cells of 2 x 2: half, all, none of their pixels; the last has one column
    assert given.pooled(2).limits.tolist() == [[[0, 1, 0]]]
    assert given.pooled(1).limits.tolist() == given.limits.tolist()
    assert given_of([], (5, 7)).pooled(2).limits.shape == (0, 3, 4)


def test_a_window_has_the_order_of_the_whole_frame():
    """In the window, the larger mask has fewer pixels."""
    rows = [[1, 1, 1, 1, 1], [1, 1, 0, 1, 0]]
    given = given_of([MASK_2, (3, 'mask', rows)])
    window = (slice(1, 2), slice(1, 4))
    assert given.owners[window].tolist() == [[3, 3, 3]]
    assert given.cropped(window).owners.tolist() == [[3, 3, 3]]
    assert given.of_points(torch.tensor([2, 3])).cropped(window).owners.tolist() == [[1, 1, 1]]


def test_scores_end_at_limits_and_masks_are_fixed():
    scores = torch.full((4, 2, 5), 0.25)
    fixed, known = given_of([BOX_0, MASK_2]).fix(scores)
    assert known.tolist() == given_of([MASK_2]).limits[0].tolist()
    assert fixed[:, 0, 1].tolist() == [0, 0, 1, 0]  # in the mask, also the box's own pixel
    assert fixed[:, 0, 0].tolist() == [0.25, 0.25, 0, 0.25]  # outside of the mask
    assert fixed[:, 0, 4].tolist() == [0, 0.25, 0, 0.25]  # outside of both
    assert scores.eq(0.25).all()  # not changed


@pytest.mark.parametrize('kind', ['box', 'mask'])
def test_a_point_has_pixels_in_its_limit_alone(kind):
    """Point 0 is nearer to the middle, which its limit does not reach."""
    limit = (0, kind, [[1, 1, 0, 0, 0]])
    options = dict(
        position_groups=torch.ones(1, 5, dtype=torch.int64), point_groups=torch.tensor([1, 1])
    )
    points = torch.tensor([[1.5, 0.5], [4.5, 0.5]])
    positions = pixel_centers(1, 5)
    assert divide_by_nearest(positions, points, given=None, **options).tolist() == [[1, 1, 1, 2, 2]]
    found = divide_by_nearest(positions, points, given=given_of([limit]), **options)
    assert found.tolist() == [[1, 1, 2, 2, 2]]


def test_a_mask_has_all_of_its_pixels_whatever_the_map_says():
    options = dict(
        position_groups=torch.tensor([[1, 1, 0, 2, 2]]), point_groups=torch.tensor([0, 2])
    )
    points = torch.tensor([[0.5, 0.5], [4.5, 0.5]])
    given = given_of([(0, 'mask', [[1, 0, 1, 1, 0]])])
    found = divide_by_nearest(pixel_centers(1, 5), points, given=given, **options)
    assert found.tolist() == [[1, 0, 1, 1, 2]]
