"""What must hold for the codecs, whatever the maps and the points."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mmp2seg.codecs import (
    DROP_REASONS,
    GuidedAffinity,
    InstanceDecoder,
    InstanceScorer,
    PairwiseAffinity,
    PointPseudoLabeler,
    RandomWalkerAffinity,
)
from mmp2seg.ops.components import find_regions
from mmp2seg.ops.coords import pixel_centers
from tests.strategies import generator, points_in, scored_images, semantic_maps

SCORERS = {
    'none': None,
    'plain': InstanceScorer(),
    'guided': InstanceScorer(affinity=GuidedAffinity(dilations=(1, 2))),
    'coarse': InstanceScorer(affinity=GuidedAffinity(dilations=(1, 2)), stride=2, window=5),
    'random walker': InstanceScorer(affinity=RandomWalkerAffinity()),
    'pairwise': InstanceScorer(affinity=PairwiseAffinity(), click_weight=0.3, anchor='point'),
}


def _without_ties(points, labels, height, width):
    """Return the pixels that no two points of a class are equally near to.

    All pairs count: the nearest point may have no region.
    """
    clear = torch.ones(height, width, dtype=torch.bool)
    centers = pixel_centers(height, width).double()
    for label in labels.unique():
        of_class = points[labels == label].double()
        distance = (centers - of_class[..., None, None]).square().sum(1)
        clear &= (distance.sort(0).values.diff(dim=0) > 1e-3).all(0)
    return clear


@given(
    st.data(),
    semantic_maps(),
    st.sampled_from(['nearest', 'drop']),
    st.sampled_from(['point', 'centroid']),
    st.sampled_from([0, 3]),
)
def test_targets_are_consistent(data, semantic_map, conflict, offset_target, min_area):
    height, width = semantic_map.shape
    points, labels = data.draw(points_in(height, width))
    labeler = PointPseudoLabeler(
        conflict=conflict, offset_target=offset_target, min_region_area=min_area
    )
    targets = labeler.encode(points.numpy(), labels.numpy(), semantic_map)
    has = targets.instance_map > 0
    assert torch.equal(targets.weight > 0, has)
    assert targets.offset.isfinite().all() and (targets.offset[:, ~has] == 0).all()
    owner = targets.instance_map[has].long() - 1
    # an instance has pixels of its point's class alone, all of one region
    assert (torch.from_numpy(semantic_map)[has] == labels[owner] + 1).all()
    regions = find_regions(semantic_map, labels.numpy())
    pairs = {(int(n), int(r)) for n, r in zip(owner, regions.region_map[has], strict=True)}
    assert len(pairs) == len({n for n, _ in pairs})
    areas = regions.areas[regions.region_map[has].long() - 1]
    assert (areas >= min_area).all()
    if offset_target == 'point':
        landings = (targets.offset + pixel_centers(height, width))[:, has].T
        torch.testing.assert_close(landings, points[owner], rtol=0, atol=1e-5)
    if conflict == 'nearest':  # a region with a point has no other pixels than those of points
        of_points = labeler.point_regions(points, labels, regions)
        assert torch.equal(has, torch.isin(regions.region_map, of_points[of_points > 0]))
        refined = labeler.targets(
            points,
            region_map=regions.region_map,
            point_regions=of_points,
            offset=torch.zeros(2, height, width),
        )
        assert torch.equal(refined.instance_map, targets.instance_map)


@given(st.data(), semantic_maps())
def test_targets_follow_the_order_of_the_points_and_flips(data, semantic_map):
    height, width = semantic_map.shape
    points, labels = data.draw(points_in(height, width))
    labeler = PointPseudoLabeler(max_snap_distance=0.0)  # the first of equally near regions wins
    found = labeler.encode(points.numpy(), labels.numpy(), semantic_map).instance_map.long()
    clear = _without_ties(points, labels, height, width)
    order = torch.randperm(len(points), generator=generator(len(points)))
    other = labeler.encode(points[order].numpy(), labels[order].numpy(), semantic_map)
    renamed = torch.cat([torch.zeros(1, dtype=torch.int64), order + 1])[other.instance_map.long()]
    assert torch.equal(renamed > 0, found > 0)
    assert torch.equal(renamed[clear], found[clear])
    if (points == points.floor()).any():  # a point on an edge of pixels is in the other pixel
        return
    mirrored = points.clone()
    mirrored[:, 0] = width - points[:, 0]
    flipped = labeler.encode(mirrored.numpy(), labels.numpy(), np.flip(semantic_map, 1).copy())
    assert torch.equal(flipped.instance_map.flip(1)[clear].long(), found[clear])


@pytest.mark.parametrize('name', SCORERS)
@given(st.data(), scored_images())
def test_every_point_is_an_instance_or_dropped_with_a_reason(name, data, sample):
    probs, offset, points, labels, image = sample
    height, width = probs.shape[1:]
    extra = data.draw(
        st.sampled_from([[], [(-1.0, 0.5)], [(float('nan'), 1.0), (1e9, -1e9)], ['twice']])
    )
    if extra == ['twice']:
        points, labels = points.repeat(2, 1), labels.repeat(2)
    elif extra:
        points = torch.cat([points, torch.tensor(extra)])
        labels = torch.cat([labels, torch.zeros(len(extra), dtype=torch.int64)])
    decoder = InstanceDecoder(
        labeler=PointPseudoLabeler(),
        scorer=SCORERS[name],
        grouping=data.draw(st.sampled_from(['offset', 'nearest', 'region'])),
        landing_weight=data.draw(st.sampled_from([0.0, 0.5, 1.0])),
        anchor=data.draw(st.sampled_from(['landing', 'point'])),
    )
    embedding = torch.randn(4, height, width, generator=generator(0))
    found = decoder.decode(probs, offset, points, labels, image=image, embedding=embedding)
    assert sorted([*found.kept.tolist(), *found.dropped.tolist()]) == list(range(len(points)))
    assert len(found.reasons) == len(found.dropped)
    assert set(found.reasons) <= set(DROP_REASONS)
    assert found.masks.shape == (len(found.kept), height, width)
    assert found.masks.flatten(1).any(1).all()
    assert ((found.scores >= 0) & (found.scores <= 1 + 1e-5)).all()
    if decoder.grouping != 'region':
        assert (found.masks.sum(0) <= 1).all()  # a pixel has one instance
    for mask, index in zip(found.masks, found.kept.tolist(), strict=True):
        assert (found.semantic_map[mask] == labels[index] + 1).all()
    inside = ~points.isnan().any(1) & (points >= 0).all(1)
    inside &= (points[:, 0] < width) & (points[:, 1] < height)
    outside = {int(index) for index in (~inside).nonzero()}
    reasons = dict(zip(found.dropped.tolist(), found.reasons, strict=True))
    assert {index for index, reason in reasons.items() if reason == 'outside_image'} == outside
    if decoder.scorer is not None and decoder.scorer.stride == 1:
        # the pixel of a click is that of the first point in it, or, without its part, of none
        cells = points.nan_to_num(-1).floor().long()
        for index in found.kept.tolist():
            first = (cells == cells[index]).all(1).nonzero()[0].item()
            place = found.kept.tolist().index(index)
            column, row = cells[index].tolist()
            assert not found.masks[place, row, column] or first == index


@pytest.mark.parametrize('name', [name for name in SCORERS if name not in ('none', 'coarse')])
@given(scored_images(max_points=9))
def test_windows_and_the_order_of_the_points_do_not_matter(name, sample):
    probs, offset, points, labels, image = sample
    embedding = torch.randn(4, *probs.shape[1:], generator=generator(0))
    scorer = SCORERS[name]
    options = dict(image=image, embedding=embedding, connect=False)
    found = scorer.assign(probs, offset, points, labels + 1, **options)
    assert found.confidence.isfinite().all()
    if name in ('plain', 'guided'):  # the others look at the whole frame
        small = InstanceScorer(affinity=scorer.affinity, window=4)
        windows = small.assign(probs, offset, points, labels + 1, **options)
        torch.testing.assert_close(windows.confidence, found.confidence, rtol=1e-3, atol=1e-4)
        assert (windows.channel_map == found.channel_map).float().mean() > 0.9  # ties
    cells = {tuple(cell) for cell in points.floor().tolist()}
    same = torch.zeros_like(labels)
    if len(cells) < len(points) or not _without_ties(points, same, *probs.shape[1:]).all():
        return  # the first of the points in a pixel gets it, and the first of equally near ones
    order = torch.randperm(len(points), generator=generator(len(points)))
    other = scorer.assign(probs, offset, points[order], labels[order] + 1, **options)
    torch.testing.assert_close(other.confidence, found.confidence, rtol=1e-3, atol=1e-4)
