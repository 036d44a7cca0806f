"""PointSegmenter on hand-made images, mostly with a backbone that averages colours."""

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import DefaultScope
from torch import nn

from mmp2seg.codecs import DROP_REASONS
from mmp2seg.registry import MODELS
from mmp2seg.segmenters import PointSegmenter, point_segmenter

GREEN, RED, BLUE, GROUND = (60, 170, 60), (190, 50, 60), (40, 60, 200), (90, 90, 90)


@MODELS.register_module()
class MeanColours(nn.Module):
    """A backbone whose features are the mean colours of cells of 8 and 16 pixels."""

    def forward(self, images):
        height, width = images.shape[2:]
        padded = F.pad(images, (0, -width % 16, 0, -height % 16), mode='replicate')
        return tuple(
            F.avg_pool2d(padded, stride)[..., : -(-height // stride), : -(-width // stride)]
            for stride in (8, 16)
        )


def segmenter(**options):
    return PointSegmenter(
        **{
            'backbone': dict(type='mmp2seg.MeanColours'),
            'strides': (8, 16),
            'long_side': 128,
            **options,
        }
    )


def disc(size, centre, radius):
    rows, columns = np.indices(size)
    return (columns + 0.5 - centre[0]) ** 2 + (rows + 0.5 - centre[1]) ** 2 <= radius**2


def picture(size, *discs, ground=GROUND, noise=4):
    """An image of ``(centre, radius, colour)`` discs on a plain ground, and their masks."""
    image = np.empty((*size, 3), np.float64)
    image[:] = ground
    masks = [disc(size, centre, radius) for centre, radius, _ in discs]
    for mask, (_, _, colour) in zip(masks, discs, strict=True):
        image[mask] = colour
    image += np.random.default_rng(0).normal(0, noise, image.shape)
    return image.clip(0, 255).astype(np.uint8), np.array(masks)


def overlaps(result, masks):
    """IoU of each point's mask with the true one."""
    found = [result.instance_map == n + 1 for n in range(len(masks))]
    return np.array([(a & b).sum() / (a | b).sum() for a, b in zip(found, masks, strict=True)])


def check_consistent(result, image, labels):
    """What holds for every result."""
    size, count = image.shape[:2], len(labels)
    assert result.instance_map.shape == result.semantic_map.shape == size
    assert result.instance_map.dtype == np.int32
    assert result.semantic_map.dtype == result.semantic_argmax.dtype == np.uint8
    assert result.scores.shape == (count,)
    assert result.scores.dtype == np.float32
    assert ((result.scores >= 0) & (result.scores <= 1 + 1e-5)).all()
    present = set(np.unique(result.instance_map).tolist()) - {0}
    assert present == {n + 1 for n, reason in enumerate(result.reasons) if reason == ''}
    assert all(reason == '' or reason in DROP_REASONS for reason in result.reasons)
    values = {0, *(label + 1 for label in labels)}
    assert set(np.unique(result.semantic_argmax).tolist()) <= values
    sure = result.semantic_map != 255
    assert (result.semantic_map == result.semantic_argmax)[sure].all()


TWO = (((36, 40), 18, GREEN), ((90, 60), 22, RED))
TWO_POINTS = np.array([[36.0, 40.0], [90.0, 60.0]])


def test_two_discs_on_a_plain_ground():
    image, masks = picture((96, 128), *TWO)
    result = segmenter()(image, points_xy=TWO_POINTS, labels=[1, 0], num_classes=3)
    check_consistent(result, image, [1, 0])
    assert (overlaps(result, masks) > 0.9).all()
    assert result.reasons == ('', '')
    assert (result.scores > 0.6).all()
    truth = masks[0] * 2 + masks[1] * 1
    assert (result.semantic_argmax == truth).mean() > 0.97


def test_touching_objects_of_a_class_are_shared_out():
    image, masks = picture((96, 128), ((44, 48), 20, GREEN), ((84, 48), 20, GREEN))
    points = [[44, 48], [84, 48]]
    result = segmenter()(image, points_xy=points, labels=[0, 0], num_classes=1)
    check_consistent(result, image, [0, 0])
    assert (overlaps(result, masks) > 0.85).all()
    # the border between them does not make the class unsure
    assert (result.semantic_map[44:52, 62:66] == 1).all()


def test_a_background_click_takes_a_region_that_looks_like_the_object():
    image, masks = picture((96, 128), ((40, 48), 20, GREEN), ((80, 48), 20, GREEN))
    points = [[40, 48]]
    without = segmenter()(image, points_xy=points, labels=[0], num_classes=1)
    assert without.semantic_argmax[48, 78] == 1
    result = segmenter()(
        image, points_xy=points, labels=[0], num_classes=1, background_xy=[[80, 48]]
    )
    check_consistent(result, image, [0])
    assert result.semantic_argmax[48, 80] == 0
    assert (result.instance_map[masks[1]] == 1).mean() < 0.1
    assert overlaps(result, masks[:1]) > overlaps(without, masks[:1])


def test_where_two_classes_are_alike_the_map_says_not_sure():
    image = np.full((64, 128, 3), 120, np.uint8)
    points = np.array([[32.0, 32], [96, 32]])
    result = segmenter()(image, points_xy=points, labels=[0, 1], num_classes=2)
    check_consistent(result, image, [0, 1])
    assert (result.semantic_map[:, 63:65] == 255).mean() > 0.9
    assert result.semantic_map[32, 32] == 1
    assert result.semantic_map[32, 96] == 2
    sure = segmenter(min_confidence=0.0)(image, points_xy=points, labels=[0, 1], num_classes=2)
    assert not (sure.semantic_map == 255).any()


def test_object_size_limits_a_single_object():
    image = np.full((128, 128, 3), 120, np.uint8)
    areas = []
    for size in (12, 24, 48):
        result = segmenter()(
            image, points_xy=[[64, 64]], labels=[0], num_classes=1, object_size=size
        )
        areas.append(int((result.instance_map == 1).sum()))
    assert areas[0] < areas[1] < areas[2]


@pytest.mark.parametrize('object_size', [0, -3, np.nan, np.inf])
def test_object_size_is_checked(object_size):
    image, _ = picture((32, 32))
    with pytest.raises(ValueError, match='expected an object_size above 0, got'):
        segmenter()(image, points_xy=[[4, 4]], labels=[0], num_classes=1, object_size=object_size)


def test_the_working_scale_follows_the_spacing():
    model = segmenter(long_side=128, spacing=32, max_scale=3)
    pair = torch.tensor([[0.0, 0.0], [16.0, 0.0]])
    assert model.working_scale((64, 128), pair) == 2
    assert model.working_scale((64, 128), pair, object_size=8) == 3  # of max_scale
    assert model.working_scale((64, 128), pair * 10) == 1
    assert model.working_scale((640, 1280), pair * 10) == 0.2
    assert model.working_scale((640, 1280), pair[:1]) == 0.1
    assert model.working_scale((64, 128), pair * 0) == 3


def test_the_order_of_the_points_does_not_matter():
    image, _ = picture((96, 128), *TWO, ((20, 80), 8, BLUE), ((110, 20), 12, GREEN))
    points = np.array([[36.0, 40], [90, 60], [20, 80], [110, 20]])
    labels, order = np.array([1, 0, 2, 1]), np.array([2, 0, 3, 1])
    model = segmenter()
    result = model(image, points_xy=points, labels=labels, num_classes=3)
    other = model(image, points_xy=points[order], labels=labels[order], num_classes=3)
    back = np.append(0, order + 1)[other.instance_map]
    assert (back == result.instance_map).mean() > 0.999
    assert (other.semantic_map == result.semantic_map).mean() > 0.999
    np.testing.assert_allclose(other.scores, result.scores[order], atol=1e-3)


@pytest.mark.parametrize('size', [(96, 128), (97, 131), (200, 310), (40, 61)])
def test_results_are_in_the_frame_of_the_image(size):
    # working scale above, at and below 1
    height, width = size
    centre = (0.4 * width, 0.5 * height)
    image, masks = picture(size, (centre, 0.3 * height, GREEN))
    result = segmenter()(image, points_xy=[centre], labels=[0], num_classes=1)
    check_consistent(result, image, [0])
    assert overlaps(result, masks)[0] > 0.85
    rows, columns = np.nonzero(result.instance_map)
    assert abs(columns.mean() + 0.5 - centre[0]) < 0.02 * width
    assert abs(rows.mean() + 0.5 - centre[1]) < 0.02 * width


def test_instances_are_connected_and_hold_their_click():
    image, _ = picture((96, 128), ((30, 48), 14, GREEN), ((100, 48), 14, GREEN))
    points = np.array([[30.5, 48.5]])
    options = dict(use_size_prior=False)
    whole = segmenter(connected=False, **options)(
        image, points_xy=points, labels=[0], num_classes=1
    )
    result = segmenter(**options)(image, points_xy=points, labels=[0], num_classes=1)
    assert whole.instance_map[48, 100] == 1
    assert result.instance_map[48, 100] == 0
    assert result.instance_map[48, 30] == 1
    assert cv2.connectedComponents((result.instance_map == 1).astype(np.uint8))[0] == 2


def test_a_click_in_a_look_alike_area_keeps_its_pixel_and_class():
    # the click's cell is shared with another: it keeps at least its own pixel
    image, _ = picture((64, 64), noise=0)
    points = [[32.5, 32.5], [33.5, 32.5]]
    result = segmenter()(image, points_xy=points, labels=[0, 1], num_classes=2)
    check_consistent(result, image, [0, 1])
    for n, (x, y) in enumerate(points):
        if result.reasons[n] == '' and (result.instance_map == n + 1).sum() == 1:
            assert result.instance_map[int(y), int(x)] == n + 1
        assert result.semantic_map[int(y), int(x)] == n + 1


def test_two_clicks_in_a_pixel():
    image, masks = picture((96, 128), *TWO)
    points = [[36.2, 40.2], [36.8, 40.8], [90, 60], [90, 60]]
    same = segmenter()(image, points_xy=points, labels=[0, 0, 1, 1], num_classes=2)
    check_consistent(same, image, [0, 0, 1, 1])
    assert same.reasons == ('', 'duplicate', '', 'duplicate')
    assert (overlaps(same, [masks[0]])[0]) > 0.9
    other = segmenter()(image, points_xy=points, labels=[0, 1, 1, 0], num_classes=2)
    check_consistent(other, image, [0, 1, 1, 0])
    assert other.reasons == ('', 'no_pixels', '', 'no_pixels')
    assert np.array_equal(other.instance_map, same.instance_map)
    assert np.array_equal(other.semantic_map, same.semantic_map)


def test_a_point_on_the_edge_is_on_the_last_pixel():
    image, _ = picture((96, 128), *TWO)
    points = [[128, 5], [5, 96]]
    result = segmenter()(image, points_xy=points, labels=[0, 1], num_classes=2)
    assert result.reasons == ('', '')
    assert (result.instance_map[5, 127], result.instance_map[95, 5]) == (1, 2)


def test_points_outside_get_nothing_and_change_nothing():
    image, _ = picture((96, 128), *TWO)
    model = segmenter()
    expected = model(image, points_xy=TWO_POINTS, labels=[0, 1], num_classes=2)
    outside = [[-1, 5], [128.5, 5], [5, 96.5], [np.nan, 3], [1e9, 1e9]]
    points = np.concatenate([outside, TWO_POINTS])
    labels = [0] * 5 + [0, 1]
    result = model(image, points_xy=points, labels=labels, num_classes=2)
    check_consistent(result, image, labels)
    assert result.reasons == ('outside_image',) * 5 + ('', '')
    assert (result.scores[:5] == 0).all()
    moved = np.where(expected.instance_map > 0, expected.instance_map + 5, 0)
    assert np.array_equal(result.instance_map, moved)
    assert np.array_equal(result.semantic_map, expected.semantic_map)


@pytest.mark.parametrize('points', [[], [[-5.0, 3.0]], np.zeros((0, 2))])
@pytest.mark.parametrize('background', [None, [], [[5.0, 5.0]], [[-1.0, 2.0]]])
def test_without_usable_points_all_is_background(points, background):
    image, _ = picture((40, 50))
    result = segmenter()(
        image,
        points_xy=points,
        labels=[0] * len(points),
        num_classes=2,
        background_xy=background,
    )
    check_consistent(result, image, [0] * len(points))
    assert not result.instance_map.any()
    assert not result.semantic_map.any()


@pytest.mark.parametrize('size', [(1, 1), (1, 40), (40, 1), (2, 3)])
def test_tiny_images(size):
    image = np.full((*size, 3), 77, np.uint8)
    point = [size[1] - 0.001, size[0] - 0.001]
    result = segmenter()(image, points_xy=[point], labels=[2], num_classes=3)
    check_consistent(result, image, [2])
    assert result.instance_map[-1, -1] == 1
    assert result.semantic_map[-1, -1] == 3


def test_a_long_thin_image():
    image = np.full((2, 3000, 3), 77, np.uint8)
    image[:, 1000:1500] = RED
    result = segmenter()(image, points_xy=[[1250, 1]], labels=[0], num_classes=1)
    check_consistent(result, image, [0])
    assert (result.instance_map[:, 1100:1400] == 1).all()


def test_a_point_at_the_border_is_a_seed():
    image, _ = picture((64, 64))
    points = np.nextafter([[64.0, 64.0]], 0)
    result = segmenter()(image, points_xy=points, labels=[0], num_classes=1)
    inner = segmenter()(image, points_xy=[[63.9, 63.9]], labels=[0], num_classes=1)
    assert (result.instance_map[60:, 60:] == 1).all()
    assert (result.instance_map == inner.instance_map).mean() > 0.98


@pytest.mark.parametrize('same_place', [False, True])
def test_ten_thousand_points(same_place):
    rng = np.random.default_rng(0)
    image = cv2.resize(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8), (96, 96))
    points = rng.uniform(0, 60, (10_000, 2))
    if same_place:
        points[:] = 48
    labels = rng.integers(0, 5, len(points)) if not same_place else np.zeros(10_000, int)
    model = segmenter(long_side=96, spacing=1, use_guided=False, min_radius=2)
    result = model(image, points_xy=points, labels=labels, num_classes=5)
    check_consistent(result, image, labels)
    pixels = len(np.unique(np.floor(points), axis=0))
    assert sum(reason == '' for reason in result.reasons) == pixels


@pytest.mark.parametrize(
    'options',
    [
        dict(use_size_prior=False),
        dict(use_guided=False),
        dict(strength=None),
        dict(connected=False),
        dict(use_size_prior=False, use_guided=False, strength=None, connected=False),
        dict(guided=dict(iterations=2, dilations=(1, 3), block=1)),
        dict(guided=dict(iterations=0)),
    ],
    ids=str,
)
def test_each_step_can_be_switched_off(options):
    image, masks = picture((96, 128), *TWO)
    result = segmenter(**options)(image, points_xy=TWO_POINTS, labels=[0, 1], num_classes=2)
    check_consistent(result, image, [0, 1])
    assert (overlaps(result, masks) > 0.4).all()


def test_guided_propagation_sharpens_the_border():
    image, masks = picture((96, 128), *TWO)
    found = [
        segmenter(use_guided=use)(image, points_xy=TWO_POINTS, labels=[0, 1], num_classes=2)
        for use in (False, True)
    ]
    assert overlaps(found[1], masks).mean() > overlaps(found[0], masks).mean()


def many_discs(size, spacing, seed=0):
    """Discs of three colours in a grid, their points and labels."""
    rng = np.random.default_rng(seed)
    discs, labels = [], []
    colours = (GREEN, RED, BLUE)
    for y in np.arange(spacing / 2, size[0] - spacing / 4, spacing):
        for x in np.arange(spacing / 2, size[1] - spacing / 4, spacing):
            label = int(rng.integers(3))
            centre = np.array([x, y]) + rng.uniform(-0.1, 0.1, 2) * spacing
            discs.append((centre, rng.uniform(0.25, 0.38) * spacing, colours[label]))
            labels.append(label)
    image, masks = picture(size, *discs)
    return image, masks, np.array([centre for centre, _, _ in discs]), labels


TILED = dict(tile=64, overlap=64)
TILED_WIDE = dict(tile=64, overlap=128)
ONE_TILE = dict(tile=1024, overlap=64)


@pytest.mark.parametrize('seed', [0, 1])
@pytest.mark.parametrize('size', [(330, 300), (512, 180)])
def test_tiles_have_no_seams(size, seed):
    image, masks, points, labels = many_discs(size, 40, seed)
    options = dict(long_side=max(size), spacing=1.0)
    one, many = (
        segmenter(**options, **tiles)(image, points_xy=points, labels=labels, num_classes=3)
        for tiles in (ONE_TILE, TILED)
    )
    check_consistent(many, image, labels)
    assert overlaps(one, masks).mean() > 0.85
    different = one.instance_map != many.instance_map
    assert different.mean() < 0.01
    # no row or column of pixels stands out, as a seam would
    for axis in (0, 1):
        assert different.mean(axis).max() < 0.1
    assert (one.semantic_argmax != many.semantic_argmax).mean() < 0.01
    # 255 begins at a fixed probability, which large plain areas pass slowly
    assert (one.semantic_map != many.semantic_map).mean() < 0.04
    np.testing.assert_allclose(one.scores, many.scores, atol=0.05)


@pytest.mark.parametrize('long_side', [150, 600])
def test_tiles_have_no_seams_at_other_scales(long_side):
    image, _, points, labels = many_discs((300, 300), 50)
    options = dict(long_side=long_side, spacing=1.0)
    tiles = dict(tile=64, overlap=96)
    one, many = (
        segmenter(**options, **tiles)(image, points_xy=points, labels=labels, num_classes=3)
        for tiles in (ONE_TILE, tiles)
    )
    assert (one.instance_map != many.instance_map).mean() < 0.01


def test_a_half_plain_image_has_no_seams():
    # the tiles of the plain half have other colour differences than the whole image
    image, _, points, labels = many_discs((300, 300), 50)
    image[:, 150:], _ = picture((300, 150), ((80, 150), 25, BLUE))
    keep = points[:, 0] < 150
    points = np.concatenate([points[keep], [[230.0, 150.0]]])
    labels = [*np.array(labels)[keep], 2]
    options = dict(long_side=300, spacing=1.0)
    one, many = (
        segmenter(**options, **tiles)(image, points_xy=points, labels=labels, num_classes=3)
        for tiles in (ONE_TILE, TILED_WIDE)  # the random walker sees further in plain areas
    )
    assert (one.instance_map != many.instance_map).mean() < 0.01


def test_efficientnet_runs_in_tiles_and_alone():
    torch.manual_seed(0)
    backbone = dict(type='mmp2seg.EfficientNetLite', out_indices=(3, 4))
    image, _, points, labels = many_discs((300, 300), 60)
    options = dict(backbone=backbone, strides=(16, 32), long_side=300, spacing=1.0)
    one = segmenter(**options, tile=512)
    many = segmenter(**options, tile=64, overlap=64)
    one.backbone.init_weights()
    many.load_state_dict(one.state_dict())
    call = dict(points_xy=points, labels=labels, num_classes=3)
    result, tiled = one(image, **call), many(image, **call)
    check_consistent(result, image, labels)
    check_consistent(tiled, image, labels)
    # its features see further than the overlap: nearly the same is all that there is
    assert (result.instance_map != tiled.instance_map).mean() < 0.05


def test_a_large_image_is_cut_into_tiles(monkeypatch):
    image, masks, points, labels = many_discs((700, 900), 60)
    model = segmenter(long_side=128, spacing=48, tile=128, overlap=64)
    sizes = []
    model.backbone.register_forward_hook(lambda _, inputs, __: sizes.append(inputs[0].shape[2:]))
    result = model(image, points_xy=points, labels=labels, num_classes=3)
    check_consistent(result, image, labels)
    assert overlaps(result, masks).mean() > 0.85
    assert max(max(size) for size in sizes) < 700 * 0.8


def test_further_points_in_the_same_frame_need_no_pass_of_the_backbone(monkeypatch):
    image, _, points, labels = many_discs((200, 300), 40)
    model = segmenter(spacing=1.0)
    sizes = []
    model.backbone.register_forward_hook(lambda _, inputs, __: sizes.append(inputs[0].shape[2:]))
    frames = {}
    for number in (2, 6):
        call = dict(points_xy=points[:number], labels=labels[:number], num_classes=3)
        result = model(image, **call, frames=frames)
        expected = model(image, **call)
        assert np.array_equal(result.instance_map, expected.instance_map)
        assert np.array_equal(result.scores, expected.scores)
    assert list(frames) == [(85, 128)] and len(sizes) == 3  # one of them with the dict
    model(image, **call, object_size=10.0, frames=frames)
    assert list(frames) == [(85, 128)]
    model.spacing = 48.0  # a larger frame
    model(image, **call, object_size=10.0, frames=frames)
    assert len(frames) == 2
    assert all(frame.guided for frame in frames.values())  # the weights are kept
    monkeypatch.setattr(point_segmenter, '_MAX_GUIDED_PIXELS', 200 * 300 - 1)
    few = {}
    again = model(image, **call, object_size=10.0, frames=few)
    expected = model(image, **call, object_size=10.0, frames=frames)
    assert [frame.guided for frame in few.values()] == [None]
    assert np.array_equal(again.instance_map, expected.instance_map)


def test_the_backbone_stays_frozen_and_in_evaluation_mode():
    model = segmenter(backbone=dict(type='mmp2seg.EfficientNetLite', out_indices=(2, 3)))
    model.train()
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert not model.backbone.training


@pytest.mark.parametrize('scope', ['mmdet', 'mmseg', 'mmp2seg'])
def test_is_built_by_its_name(scope):
    with DefaultScope.overwrite_default_scope(scope):
        model = MODELS.build(
            dict(
                type='mmp2seg.PointSegmenter',
                backbone=dict(type='mmp2seg.EfficientNetLite', out_indices=(3, 4)),
            )
        )
    assert isinstance(model, PointSegmenter)


def test_errors_of_images_and_points():
    image, _ = picture((20, 30))
    model = segmenter()
    call = dict(points_xy=[[3, 3]], labels=[0], num_classes=1)
    for wrong in (image[..., 0], image[..., :1], image.astype(np.uint16)):
        shape = str(wrong.shape).replace('(', r'\(').replace(')', r'\)')
        with pytest.raises(ValueError, match=rf'\(H, W, 3\) uint8, got {shape} {wrong.dtype}'):
            model(wrong, **call)
    with pytest.raises(ValueError, match='a label for each point, got 2 for 1'):
        model(image, points_xy=[[3, 3]], labels=[0, 0], num_classes=1)
    for label in (-1, 1):
        with pytest.raises(ValueError, match=rf'labels in 0\.\.0, got {label}'):
            model(image, points_xy=[[3, 3]], labels=[label], num_classes=1)
    for number in (0, 255):
        with pytest.raises(ValueError, match=f'1 to 254 classes, got {number}'):
            model(image, points_xy=[[3, 3]], labels=[0], num_classes=number)
    for points in ([3, 3], [[3, 3, 1]]):
        with pytest.raises(ValueError, match=r'expected points \(N, 2\), got the shape'):
            model(image, points_xy=points, labels=[0], num_classes=1)
        with pytest.raises(ValueError, match=r'expected points \(N, 2\), got the shape'):
            model(image, **call, background_xy=points)


@pytest.mark.parametrize(
    'options', [dict(tile=100), dict(overlap=8), dict(grid_stride=3), dict(strides=(8, 12))]
)
def test_sizes_must_fit_the_strides(options):
    with pytest.raises(ValueError, match='expected tile and overlap to be multiples of every'):
        segmenter(**options)


@pytest.mark.parametrize('strength', [0, -1.0])
def test_strength_is_checked(strength):
    with pytest.raises(ValueError, match='expected a strength above 0 or None, got'):
        segmenter(strength=strength)


def test_the_maps_of_a_network_take_part():
    """Two like areas side by side: the network alone says that the right one is background."""
    image = np.full((64, 96, 3), 90, np.uint8)
    image[16:48, 16:80] = (200, 60, 60)
    probs = torch.zeros(2, 64, 96)
    probs[1, 16:48, 16:48] = 0.98
    probs[1] += 0.01
    probs[0] = 1 - probs[1]
    arguments = dict(points_xy=[[30.5, 32.5]], labels=[0], num_classes=1)
    model = segmenter(strength=None)  # the random walker would smooth it away
    right = np.s_[20:44, 56:78]
    alone = model(image, **arguments).instance_map
    with_network = model(
        image, **arguments, network_maps=(probs, torch.zeros(2, 64, 96))
    ).instance_map
    assert (alone[right] == 1).mean() > 0.9
    assert (with_network[right] == 1).mean() < 0.1
    assert (with_network[20:44, 20:44] == 1).mean() > 0.9


def test_a_point_that_the_network_does_not_see_does_without_it():
    """The network calls the first object background, and half of the second one."""
    image = np.full((64, 160, 3), 90, np.uint8)
    image[16:48, 16:48] = image[16:48, 96:144] = (200, 60, 60)
    probs = torch.full((2, 64, 160), 0.01)
    probs[1, 16:48, 96:120] = 0.99
    probs[0] = 1 - probs[1]
    arguments = dict(points_xy=[[30.5, 32.5], [110.5, 32.5]], labels=[0, 0], num_classes=1)
    model = segmenter(strength=None)
    maps = (probs, torch.zeros(2, 64, 160))
    with_network = model(image, **arguments, network_maps=maps).instance_map
    assert (with_network[20:44, 20:44] == 1).mean() > 0.9
    assert (with_network[20:44, 100:116] == 2).mean() > 0.9
    assert (with_network[20:44, 128:142] == 2).mean() < 0.1


def test_the_offsets_of_a_network_say_which_point_a_pixel_belongs_to():
    image = np.full((64, 96, 3), 90, np.uint8)
    image[16:48, 8:88] = (200, 60, 60)
    probs = torch.zeros(2, 64, 96)
    probs[1, 16:48, 8:88] = 1
    probs[0] = 1 - probs[1]
    offset = torch.zeros(2, 64, 96)
    offset[0, :, 40:64] = -30.0  # right of the middle, but they point to the left
    arguments = dict(points_xy=[[24.5, 32.5], [72.5, 32.5]], labels=[0, 0], num_classes=1)
    model = segmenter(strength=None, class_falloff=2.0)
    plain = model(image, **arguments, network_maps=(probs, 0 * offset)).instance_map
    pulled = model(image, **arguments, network_maps=(probs, offset)).instance_map
    middle = np.s_[24:40, 50:62]
    assert (plain[middle] == 2).mean() > 0.9
    assert (pulled[middle] == 1).mean() > 0.9
