"""What must hold for the functions of `ops`, whatever their input."""

import math

import cv2
import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from mmp2seg.ops.affinity import pair_loss, propagate
from mmp2seg.ops.affinity.guided import guided_propagation
from mmp2seg.ops.components import find_regions, regions_of_points
from mmp2seg.ops.coords import (
    keep_off_border,
    misplaced_points,
    pixel_centers,
    points_inside,
    points_to_pixels,
)
from mmp2seg.ops.grouping import nearest_point_by_tiles, nearest_point_streamed
from mmp2seg.ops.instance_scores import (
    best_instances,
    class_scores,
    fix_clicks,
    instance_scores,
    near_points,
    with_click_affinities,
)
from mmp2seg.ops.masks import (
    cut_instances,
    masks_to_boxes_xyxy,
    masks_to_instance_map,
    mean_over_instances,
)
from mmp2seg.ops.offsets import instance_centroids, landing_positions, offsets_to_points
from mmp2seg.ops.point_sampling import center_inside, nearest_inside, random_inside
from mmp2seg.ops.polygons import mask_to_polygons
from mmp2seg.ops.random_walker import edge_weights, random_walker
from mmp2seg.ops.rle import decode_rle, encode_instance_map, encode_rle, segmentation_to_rle
from mmp2seg.ops.semantic_iou import confusion_matrix, mean_iou, per_class_iou
from mmp2seg.ops.semantic_map import resize_nearest
from mmp2seg.ops.windows import overlapping_windows
from mmp2seg.structures import PointBoxes
from tests.strategies import SEEDS, SIDES, generator, masks, points_in, scored_images, semantic_maps

FLIPS = st.sampled_from([(-1,), (-2,), (-2, -1)])


# --- coordinates


@given(SIDES, SIDES)
def test_the_centre_of_a_pixel_is_in_it(height, width):
    centers = pixel_centers(height, width).flatten(1).T
    rows, columns = np.divmod(np.arange(height * width), width)
    np.testing.assert_array_equal(points_to_pixels(centers), np.stack([rows, columns], 1))
    assert points_inside(centers, height, width).all()


@given(st.data(), st.integers(1, 5000), st.integers(1, 5000), st.floats(0.01, 50))
def test_points_inside_stay_inside_when_resized_flipped_and_rounded(data, height, width, scale):
    edges = st.sampled_from([0.0, 0.5, math.nextafter(1, 0), 1 - 2.0**-21, 1 - 1e-7])
    share = st.one_of(edges, st.floats(0, 1, exclude_max=True))
    xy = torch.tensor([[data.draw(share) * width, data.draw(share) * height]], dtype=torch.float64)
    xy = torch.where(xy < torch.tensor([width, height]), xy, 0)  # a product can round up
    moved = keep_off_border(xy, height, width)
    assert (moved - xy).abs().max() <= 2.0**-20 * max(height, width)
    assert points_inside(moved.float(), height, width).all()
    boxes = PointBoxes(moved.float())
    for direction in ('horizontal', 'vertical', 'diagonal'):
        boxes.flip_((height, width), direction)
        assert boxes.is_inside((height, width)).all()
    boxes.rescale_((scale, scale))
    assert (
        (boxes.tensor[0] >= 0) & (boxes.tensor[0] < torch.tensor([width, height]) * scale)
    ).all()


@given(st.lists(st.tuples(st.floats(), st.floats(), st.integers(0, 2)), max_size=6), SIDES, SIDES)
def test_every_point_is_sound_a_duplicate_or_outside(rows, height, width):
    points = np.array([row[:2] for row in rows], np.float64).reshape(-1, 2)
    labels = np.array([row[2] for row in rows], np.int64)
    reasons = misplaced_points(points, labels, height, width)
    inside = points_inside(points, height, width)
    assert ((reasons == 'outside_image') == ~inside).all()
    sound = [row for row, reason in zip(rows, reasons, strict=True) if not reason]
    assert len(set(sound)) == len(sound)
    assert set(sound) == {row for row, is_in in zip(rows, inside, strict=True) if is_in}


# --- masks


@given(masks(max_side=30))
def test_masks_survive_rle(mask):
    rle = encode_rle(mask)
    assert (decode_rle(rle) == mask).all()
    assert segmentation_to_rle(rle, *mask.shape) == rle
    if mask.any():
        (other,) = encode_instance_map(mask.astype(np.int32), 1)
        assert (decode_rle(other) == mask).all()
        x1, y1, x2, y2 = masks_to_boxes_xyxy(torch.from_numpy(mask)[None])[0].int().tolist()
        assert mask[y1:y2, x1:x2].sum() == mask.sum()
        assert mask[y1].any() and mask[y2 - 1].any() and mask[:, x1].any() and mask[:, x2 - 1].any()


@given(masks())
def test_polygons_of_a_mask_cover_it_and_fill_its_holes_alone(mask):
    polygons = mask_to_polygons(mask)
    if not mask.any():
        assert polygons == []
        return
    filled = decode_rle(segmentation_to_rle(polygons, *mask.shape))
    assert filled[mask].all()
    # what was added cannot be reached from the border without crossing the mask
    outside = _four_connected(np.pad(~mask, 1, constant_values=True))[1:-1, 1:-1]
    assert not (filled & ~mask & outside).any()


def _four_connected(free):
    """The pixels that are 4-connected with the first one."""
    _, parts = cv2.connectedComponents(free.astype(np.uint8), connectivity=4)
    return parts == parts[0, 0]


@given(st.integers(0, 5), SIDES, SIDES, SEEDS)
def test_instance_maps_are_made_and_cut(num, height, width, seed):
    stack = torch.rand(num, height, width, generator=generator(seed)) < 0.4
    instance_map = masks_to_instance_map(stack)
    values = torch.rand(height, width, generator=generator(seed + 1))
    numbers = torch.arange(1, num + 1)
    cut, means, kept = cut_instances(instance_map, numbers, values)
    assert (cut.sum(0) <= 1).all()
    assert (cut.any(0) if len(cut) else torch.zeros_like(instance_map).bool()).equal(
        instance_map > 0
    )
    for mask, mean, number in zip(cut, means, numbers[kept], strict=True):
        assert mask.any() and (mask <= stack[number - 1]).all()
        torch.testing.assert_close(mean, values[mask].mean())
    whole = mean_over_instances(values, instance_map, num)
    torch.testing.assert_close(whole[kept], means)
    assert (whole[~kept] == 0).all()
    rles = encode_instance_map(instance_map.numpy(), num)
    assert [rle is not None for rle in rles] == kept.tolist()
    for rle, mask in zip([rle for rle in rles if rle], cut, strict=True):
        assert rle == encode_rle(mask.numpy())


@given(masks(), SEEDS)
def test_points_drawn_from_a_mask_are_in_it(mask, seed):
    if not mask.any():
        return
    rng = np.random.default_rng(seed)
    near = nearest_inside(mask, rng.uniform(-3, 15, (3, 2)))
    for x, y in (center_inside(mask), random_inside(mask, rng), *near):
        assert mask[math.floor(y), math.floor(x)]


# --- regions, points and offsets


@given(semantic_maps())
def test_regions_are_connected_and_cover_the_classes(semantic_map):
    regions = find_regions(semantic_map, np.array([0, 2, 2]))
    region_map = regions.region_map.numpy()
    assert ((region_map > 0) == np.isin(semantic_map, [1, 3])).all()
    num = len(regions.labels)
    assert np.bincount(region_map.ravel(), minlength=num + 1)[1:].tolist() == regions.areas.tolist()
    for number, label in enumerate(regions.labels.tolist(), start=1):
        assert (semantic_map[region_map == number] == label + 1).all()
    rows, columns = np.nonzero(region_map)
    for row, column in zip(rows, columns, strict=True):  # neighbours of one class are one region
        near = np.s_[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
        same = semantic_map[near] == semantic_map[row, column]
        assert (region_map[near][same] == region_map[row, column]).all()
    for axis in (0, 1):
        flipped = find_regions(np.flip(semantic_map, axis), np.array([0, 2, 2]))
        assert sorted(flipped.areas.tolist()) == sorted(regions.areas.tolist())


@given(st.data(), semantic_maps(), st.sampled_from([0.0, 1.0, 2.5, 8.0]))
def test_a_point_gets_the_nearest_region_of_its_class(data, semantic_map, reach):
    height, width = semantic_map.shape
    points, labels = data.draw(points_in(height, width))
    regions = find_regions(semantic_map, labels.numpy())
    found = regions_of_points(points, labels, regions, max_snap_distance=reach).tolist()
    label_of = [-1, *regions.labels.tolist()]
    centers = pixel_centers(height, width).double()
    for point, label, region in zip(points.double(), labels.tolist(), found, strict=True):
        distance = (centers - point[:, None, None]).square().sum(0).sqrt().numpy()
        row, column = int(point[1]), int(point[0])
        of_class = semantic_map == label + 1
        if of_class[row, column]:
            assert region == regions.region_map[row, column]
        elif of_class.any() and distance[of_class].min() < reach - 1e-9:
            assert label_of[region] == label
            near = distance[regions.region_map.numpy() == region].min()
            assert near <= distance[of_class].min() + 1e-9
        elif not of_class.any() or distance[of_class].min() > reach + 1e-9:
            assert region == 0


@given(st.data(), SIDES, SIDES, st.integers(1, 9), st.integers(1, 60))
def test_the_nearest_point_does_not_depend_on_tiles_blocks_or_order(
    data, height, width, side, block
):
    points, groups = data.draw(points_in(height, width))
    if not len(points):
        return
    seed = data.draw(SEEDS)
    offset = torch.randn(2, height, width, generator=generator(seed)) * data.draw(
        st.sampled_from([0.0, 2.0, 1e4])
    )
    position_groups = torch.randint(0, 3, (height, width), generator=generator(seed + 1))
    if data.draw(st.booleans()):  # the first of equally near points wins
        points, groups = points.repeat(2, 1), torch.ones_like(groups).repeat(2)
    reach = data.draw(st.sampled_from([math.inf, 0.5, 3.0]))
    positions = landing_positions(offset)
    options = dict(position_groups=position_groups, max_distance=reach)
    expected = nearest_point_streamed(positions, points, point_groups=groups, **options)
    for found in (
        nearest_point_streamed(
            positions, points, point_groups=groups, block_elements=block, **options
        ),
        nearest_point_by_tiles(positions, points, point_groups=groups, tile_side=side, **options),
    ):
        assert torch.equal(found, expected)
    # by hand, in float64
    distance = (positions.double()[None] - points.double()[..., None, None]).square().sum(1)
    allowed = (groups[:, None, None] == position_groups) & (position_groups > 0)
    distance = distance.masked_fill(~allowed, math.inf)
    best = distance.amin(0)
    chosen = distance.gather(0, (expected.long() - 1).clamp(min=0)[None])[0]
    has = expected > 0
    assert (chosen[has] <= best[has] * (1 + 1e-5) + 1e-6).all()
    assert (best[~has].sqrt() > (reach - 1e-3 if math.isfinite(reach) else 1e300)).all()
    # another order of the points renames them; ties apart
    order = torch.randperm(len(points), generator=generator(seed))
    renamed = nearest_point_streamed(
        positions, points[order], point_groups=groups[order], **options
    )
    assert torch.equal(renamed > 0, has)
    other = distance.gather(0, order[(renamed.long() - 1).clamp(min=0)][None])[0]
    torch.testing.assert_close(other[has], chosen[has], rtol=1e-5, atol=1e-6)


@given(st.data(), SIDES, SIDES)
def test_offsets_land_at_the_point(data, height, width):
    points, _ = data.draw(points_in(height, width))
    instance_map = torch.randint(
        0, len(points) + 1, (height, width), generator=generator(data.draw(SEEDS))
    )
    offset, weight = offsets_to_points(instance_map, points)
    has = instance_map > 0
    assert torch.equal(weight > 0, has) and (offset[:, ~has] == 0).all()
    landings = landing_positions(offset)[:, has].T
    torch.testing.assert_close(landings, points[instance_map[has] - 1], rtol=0, atol=1e-5)
    centroids = instance_centroids(instance_map, len(points))
    boxes = masks_to_boxes_xyxy(instance_map == torch.arange(1, len(points) + 1)[:, None, None])
    known = ~centroids.isnan().any(1)
    assert torch.equal(
        known, (instance_map == torch.arange(1, len(points) + 1)[:, None, None]).flatten(1).any(1)
    )
    assert (centroids[known] > boxes[known, :2]).all() and (
        centroids[known] < boxes[known, 2:]
    ).all()


# --- instance scores


@given(scored_images(), st.sampled_from([0.1, 3.0, 100.0]))
def test_instance_scores_divide_the_classes(sample, sigma):
    probs, offset, points, labels, _ = sample
    channels, landing = labels + 1, landing_positions(offset)
    scores = instance_scores(probs, landing, points, channels, sigma=sigma)
    assert scores.isfinite().all() and (scores >= 0).all()
    present = [0, *channels.unique().tolist()]
    expected = torch.zeros_like(probs)
    expected[present] = probs[present]
    torch.testing.assert_close(class_scores(scores, channels, len(probs)), expected)
    order = torch.randperm(len(points), generator=generator(len(points)))
    other = instance_scores(probs, landing, points[order], channels[order], sigma=sigma)
    torch.testing.assert_close(other, torch.cat([scores[:-1][order], scores[-1:]]))
    # a point without a share anywhere is left out, and no other
    near = near_points(landing, points, channels, sigma=sigma, negligible=1e-4)
    shares = scores[:-1] / probs[channels].clamp_min(1e-30)
    known = probs[channels] > 1e-20
    assert (shares[~near][known[~near]] < 1.01e-4).all()
    instance_map, channel_map, best = best_instances(scores, channels, len(probs))
    owner = instance_map.long() - 1
    has = instance_map > 0
    assert torch.equal(channels[owner[has]], channel_map[has])
    assert (best <= 1 + 1e-5).all() and (best >= 0).all()


@given(scored_images(), st.sampled_from([0.0, 0.5, 2.0, 30.0]))
def test_clicks_own_their_pixels(sample, radius):
    probs, offset, points, labels, _ = sample
    scores = instance_scores(probs, landing_positions(offset), points, labels + 1, sigma=3.0)
    fixed_scores, fixed = fix_clicks(scores, points, radius=radius)
    assert torch.equal(fixed_scores[:, ~fixed], scores[:, ~fixed])
    assert ((fixed_scores[:, fixed] == 1).sum(0) == 1).all()
    assert ((fixed_scores[:, fixed] == 0).sum(0) == len(points)).all()
    assert (fixed_scores[-1][fixed] == 0).all()  # never to the background
    cells = points.floor().long()
    owner = fixed_scores[:, cells[:, 1], cells[:, 0]].argmax(0)
    for index, own in enumerate(owner.tolist()):  # the first point in its pixel
        same = (cells == cells[index]).all(1).nonzero()[0].item()
        assert own == same
    affinities = torch.rand(len(points), *probs.shape[1:], generator=generator(0))
    for weight in (0.0, 0.5, 1.0) if len(points) else ():
        mixed = with_click_affinities(scores, affinities, weight=weight)
        assert mixed.isfinite().all() and (mixed >= 0).all()
        torch.testing.assert_close(mixed.sum(0), torch.ones(probs.shape[1:]))


# --- affinities


EMBEDDINGS = st.tuples(st.integers(1, 6), SEEDS, st.sampled_from([0.0, 0.3, 3.0, 100.0]))


def _embedding(drawn, height, width, batch=1):
    channels, seed, scale = drawn
    return torch.randn(batch, channels, height, width, generator=generator(seed)) * scale


@given(
    EMBEDDINGS,
    scored_images(),
    st.sampled_from([0.5, 1.0, 4.0]),
    st.sampled_from([0.0, 0.6]),
    st.sampled_from([None, 1.0, 2.5]),
    st.integers(1, 40),
)
def test_propagation_keeps_probabilities(drawn, sample, beta, threshold, radius, block):
    probs = sample[0][None]
    height, width = probs.shape[2:]
    embedding = _embedding(drawn, height, width)
    options = dict(beta=beta, threshold=threshold, radius=radius, rounds=2)
    found = propagate(embedding, probs, **options)
    torch.testing.assert_close(found.sum(1), torch.ones(1, height, width))  # rows sum to one
    low, high = probs.amin((2, 3), keepdim=True), probs.amax((2, 3), keepdim=True)
    assert (found >= low - 1e-5).all() and (found <= high + 1e-5).all()
    constant = torch.full((1, 2, height, width), 0.3)
    torch.testing.assert_close(propagate(embedding, constant, **options), constant)
    blocks = propagate(embedding, probs, block_size=block, **options)
    torch.testing.assert_close(blocks, found, rtol=1e-4, atol=1e-5)
    order = torch.randperm(probs.shape[1], generator=generator(1))
    torch.testing.assert_close(propagate(embedding, probs[:, order], **options), found[:, order])
    for dims in ((-1,), (-2,)):
        flipped = propagate(embedding.flip(dims), probs.flip(dims), **options)
        torch.testing.assert_close(flipped, found.flip(dims), rtol=1e-4, atol=1e-5)
    valid = torch.rand(1, height, width, generator=generator(2)) < 0.7
    noise = torch.where(valid[:, None], probs, torch.tensor(7.0))
    torch.testing.assert_close(
        propagate(embedding, noise, valid=valid, **{**options, 'rounds': 1}),
        propagate(embedding, probs, valid=valid, **{**options, 'rounds': 1}),
    )


@given(EMBEDDINGS, SIDES, SIDES, SEEDS, st.integers(9, 60), st.integers(1, 2))
def test_the_pair_loss_does_not_depend_on_blocks_or_numbers(drawn, height, width, seed, block, num):
    embedding = _embedding(drawn, height, width, batch=2).requires_grad_()
    maps = torch.randint(-1, 4, (2, num, height, width), generator=generator(seed))
    for background in ('ignore', 'different', 'separate', 'instance'):
        loss = pair_loss(embedding, maps, background=background)
        assert loss.isfinite().all() and (loss >= 0).all() and (loss <= 3 + 1e-5).all()
        blocks = pair_loss(embedding, maps, background=background, block_size=block)
        torch.testing.assert_close(blocks, loss, rtol=1e-4, atol=1e-5)
        others = torch.tensor([-1, 0, 30, 7, 5])[maps + 1]  # other numbers of the instances
        torch.testing.assert_close(pair_loss(embedding, others, background=background), loss)
    (gradient,) = torch.autograd.grad(loss.sum(), embedding)
    assert gradient.isfinite().all()


@given(
    scored_images(),
    st.integers(1, 3),
    st.sampled_from([(1,), (1, 2), (2, 5)]),
    st.integers(1, 5),
    st.booleans(),
)
def test_guided_propagation_keeps_probabilities(sample, iterations, dilations, block, one_colour):
    probs, _, _, _, image = sample
    if one_colour:
        image = torch.zeros_like(image)
    options = dict(iterations=iterations, dilations=dilations)
    found = guided_propagation(probs, image, **options)
    torch.testing.assert_close(found.sum(0), torch.ones(probs.shape[1:]))
    low, high = probs.amin((1, 2), keepdim=True), probs.amax((1, 2), keepdim=True)
    assert (found >= low - 1e-5).all() and (found <= high + 1e-5).all()
    constant = torch.full_like(probs, 0.3)
    torch.testing.assert_close(guided_propagation(constant, image, **options), constant)
    torch.testing.assert_close(guided_propagation(probs, image, block=block, **options), found)
    order = torch.randperm(len(probs), generator=generator(3))
    torch.testing.assert_close(guided_propagation(probs[order], image, **options), found[order])
    for dims in ((-1,), (-2,)):
        flipped = guided_propagation(probs.flip(dims), image.flip(dims), **options)
        torch.testing.assert_close(flipped, found.flip(dims), rtol=1e-3, atol=1e-5)
    # neither scale nor offset of a channel matters
    torch.testing.assert_close(
        guided_propagation(probs, image * 64 + 16, **options), found, rtol=1e-2, atol=1e-3
    )
    mask = torch.rand(probs.shape[1:], generator=generator(4)) < 0.5
    fixed = guided_propagation(probs, image, fixed=mask, **options)
    assert torch.equal(fixed[:, mask], probs[:, mask])
    inside = guided_propagation(probs, image, valid=mask, **options)
    noise = probs.where(mask, 5.0), image.where(mask, -3.0)
    torch.testing.assert_close(
        guided_propagation(*noise, valid=mask, **options)[:, mask], inside[:, mask]
    )


@given(scored_images(), st.sampled_from([0.01, 1.0, 100.0]), SEEDS)
def test_the_random_walker_keeps_probabilities(sample, strength, seed):
    unary, _, _, _, image = sample
    weights = edge_weights(image)
    strengths = torch.rand(unary.shape[1:], generator=generator(seed)) * strength + 1e-3
    found = random_walker(unary, weights, strengths)
    torch.testing.assert_close(found.sum(0), torch.ones(unary.shape[1:]), rtol=1e-4, atol=1e-4)
    low, high = unary.amin((1, 2), keepdim=True), unary.amax((1, 2), keepdim=True)
    assert (found >= low - 1e-4).all() and (found <= high + 1e-4).all()
    order = torch.randperm(len(unary), generator=generator(5))
    torch.testing.assert_close(random_walker(unary[order], weights, strengths), found[order])
    other = random_walker(unary, weights, strengths, solver='cg')
    torch.testing.assert_close(other, found, rtol=1e-3, atol=1e-3)


# --- maps and figures


@given(semantic_maps(), semantic_maps())
def test_confusions_count_the_pixels(first, second):
    second = np.resize(second, first.shape)
    matrix = confusion_matrix(first, second, num_classes=3)
    assert matrix.sum() == (second != 255).sum()
    assert matrix[:, -1].sum() == ((second != 255) & (first == 255)).sum()
    assert np.trace(matrix) == ((second != 255) & (first == second)).sum()
    ious = per_class_iou(matrix)
    assert ((ious >= 0) & (ious <= 1) | np.isnan(ious)).all()
    perfect = confusion_matrix(second, second, num_classes=3)
    if perfect.sum():
        assert mean_iou(perfect) == 1


@given(semantic_maps(), st.integers(1, 40), st.integers(1, 40))
def test_resized_maps_have_no_new_values(semantic_map, height, width):
    resized = resize_nearest(semantic_map, (height, width))
    assert resized.shape == (height, width)
    assert set(np.unique(resized)) <= set(np.unique(semantic_map))
    assert (resize_nearest(semantic_map, semantic_map.shape) == semantic_map).all()
    twice = resize_nearest(semantic_map, (semantic_map.shape[0] * 2, semantic_map.shape[1] * 2))
    assert (twice[::2, ::2] == semantic_map).all()


@given(
    st.integers(1, 60), st.integers(1, 60), st.integers(1, 20), st.integers(0, 9), st.integers(1, 4)
)
def test_windows_cover_the_frame_once(height, width, side, overlap, step):
    covered = np.zeros((height, width), int)
    for core, window in overlapping_windows(height, width, side, overlap, step=step):
        covered[core] += 1
        for inner, outer, length in zip(core, window, (height, width), strict=True):
            assert 0 <= outer.start <= inner.start < inner.stop <= length
            assert inner.stop - inner.start < side + step
            assert inner.start - outer.start in (overlap, inner.start)
            assert outer.stop in (inner.stop + overlap, length) or outer.stop >= inner.stop
    assert (covered == 1).all()
