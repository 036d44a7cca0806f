import dataclasses
from types import SimpleNamespace

import pytest
import torch

from mmp2seg.codecs import (
    GivenMasks,
    ImagePoints,
    InstanceScorer,
    PointBatch,
    PointPseudoLabeler,
)
from mmp2seg.models import MutualDistiller, NetworkMaps
from mmp2seg.models.distillation import PointGroup, mutual_distiller
from mmp2seg.models.distillation.mutual_distiller import _groups, _without_orphans
from mmp2seg.ops.components import find_regions
from mmp2seg.registry import MODELS

# Class 0 at both ends, each with a point; the weak map lost the right object's outer half.
WEAK = [[1, 1, 0, 0, 1, 0], [1, 1, 0, 255, 1, 0]]
TRUE = [[1, 1, 0, 0, 1, 1], [1, 1, 0, 0, 1, 1]]
POINTS = [[0.5, 0.5], [4.5, 0.5]]


def _distiller(**options):
    labeler = dict(type='mmp2seg.PointPseudoLabeler', max_snap_distance=0)
    return MODELS.build(dict(type='mmp2seg.MutualDistiller', labeler=labeler, **options))


def _inputs(*, weak=WEAK, embedding=True, batch=1):
    """A network that scores the weak map and binds the pixels of each true object together."""
    semantic_map = torch.tensor(weak, dtype=torch.uint8)
    scored = (semantic_map == 1).float()
    groups = torch.tensor([0, 0, 1, 1, 2, 2]).expand(2, 6)
    one_hot = torch.nn.functional.one_hot(groups, 3).permute(2, 0, 1).float()
    vectors = 6 * (2 * one_hot - 1)  # affinity ~1 in a group, ~0 across: 36 * 3 and -36
    return dict(
        semantic_logits=torch.stack([-scored, 2 * scored])[None].expand(batch, -1, -1, -1),
        offset=torch.zeros(batch, 2, 2, 6),
        embedding=vectors[None].expand(batch, -1, -1, -1) if embedding else None,
        weak_maps=semantic_map.expand(batch, -1, -1),
        images=[_image(POINTS, semantic_map)] * batch,
        iteration=10,
    )


def _image(points, semantic_map):
    labels = torch.zeros(len(points), dtype=torch.int64)
    regions = find_regions(semantic_map.numpy(), labels.numpy())
    return ImagePoints(torch.tensor(points).float().reshape(-1, 2), labels, regions)


def _distill(distiller, inputs, **changes):
    inputs = {**inputs, **changes}
    maps = NetworkMaps(inputs['semantic_logits'], inputs['offset'], inputs['embedding'])
    return distiller.distill(
        maps, inputs['weak_maps'], inputs['images'], iteration=inputs['iteration']
    )


def test_without_rounds_it_is_s2i():
    targets = _distill(_distiller(rounds=0), _inputs())
    assert len(targets.semantic_maps) == 1 and len(targets.offsets) == 2
    for instance_map in targets.instance_maps[0]:
        assert instance_map.tolist() == [[1, 1, 0, 0, 2, 0], [1, 1, 0, -1, 2, 0]]


def test_a_round_grows_the_instance_to_what_its_affinity_binds():
    targets = _distill(_distiller(rounds=1), _inputs())
    initial, refined = targets.instance_maps[0]
    assert initial.tolist() == [[1, 1, 0, 0, 2, 0], [1, 1, 0, -1, 2, 0]]
    # Where the weak map ignores, no class is known: neither instance nor background.
    assert refined.tolist() == [[1, 1, 0, 0, 2, 2], [1, 1, 0, -1, 2, 2]]
    offset, weight = targets.offsets[1]
    assert weight[0].tolist() == (refined > 0).float().tolist()
    assert offset[0, :, 1, 5].tolist() == [-1, -1]


@pytest.mark.parametrize(
    ('use', 'maps', 'refined_at_the_end'), [('none', 1, 0), ('offset', 1, 2), ('semantic', 2, 2)]
)
def test_where_the_refined_semantic_map_is_used(use, maps, refined_at_the_end):
    targets = _distill(_distiller(rounds=1, semantic_use=use), _inputs())
    assert len(targets.semantic_maps) == maps
    assert targets.instance_maps[0, 1, 0, 5] == refined_at_the_end
    if use == 'semantic':
        expected = torch.tensor(TRUE)
        expected[1, 3] = 255
        assert targets.semantic_maps[1][0].tolist() == expected.tolist()


def test_beginnings_are_iterations():
    distiller = _distiller(
        semantic_use='semantic', refine_begin=1, propagate_begin=2, semantic_begin=3
    )
    seen = []
    for iteration in range(4):
        targets = _distill(distiller, _inputs(), iteration=iteration)
        propagated = int(targets.instance_maps[0, -1, 0, 5] == 2)
        seen.append((len(targets.offsets), propagated, len(targets.semantic_maps)))
    assert seen == [(1, 0, 1), (2, 0, 1), (2, 1, 1), (2, 1, 2)]


@pytest.mark.parametrize('name', ['refine_begin', 'propagate_begin', 'semantic_begin'])
def test_none_is_never(name):
    targets = _distill(_distiller(semantic_use='semantic', **{name: None}), _inputs())
    if name == 'refine_begin':
        assert len(targets.offsets) == 1
    elif name == 'propagate_begin':
        assert targets.instance_maps[0, 1, 0, 5] == 0
    assert len(targets.semantic_maps) == 1


def test_the_weak_map_is_cleared_by_the_affinity():
    # One pixel of the left object has a wrong label; its neighbours in the object outvote it.
    weak = [[1, 0, 0, 0, 1, 1], [1, 1, 0, 0, 1, 1]]
    options = dict(semantic_use='semantic', semantic_input='weak')
    targets = _distill(_distiller(**options), _inputs(weak=weak))
    assert targets.semantic_maps[1][0].tolist() == TRUE
    # The network's own certainty may overrule them, as far as it has a share.
    inputs = _inputs(weak=weak)
    scored = torch.tensor(weak)
    inputs['semantic_logits'] = 50.0 * torch.stack([1 - scored, scored])[None]
    certain = _distill(_distiller(**options, network_weight=0.9), inputs)
    assert certain.semantic_maps[1][0].tolist() == weak


def test_a_radius_keeps_the_affinity_local():
    inputs = _inputs()
    assert _distill(_distiller(radius=1), inputs).instance_maps[0, 1, 0, 5] == 2
    assert _distill(_distiller(radius=0.5), inputs).instance_maps[0, 1, 0, 5] == 0


def test_predictions_stay_as_they_are():
    inputs = _inputs()
    names = ('semantic_logits', 'offset', 'embedding', 'weak_maps')
    before = {name: inputs[name].clone() for name in names}
    _distill(_distiller(semantic_use='semantic'), inputs)
    assert all(torch.equal(inputs[name], before[name]) for name in names)


def test_targets_carry_no_gradient():
    inputs = _inputs()
    for name in ('semantic_logits', 'offset', 'embedding'):
        inputs[name] = inputs[name].clone().requires_grad_()
    targets = _distill(_distiller(semantic_use='semantic'), inputs)
    tensors = [*targets.semantic_maps, targets.instance_maps, *targets.offsets[1]]
    assert not any(tensor.requires_grad for tensor in tensors)


def test_a_network_without_affinity_refines_by_offsets_alone():
    targets = _distill(_distiller(rounds=3), _inputs(embedding=False))
    expected = _distill(_distiller(rounds=0), _inputs())
    assert torch.equal(targets.instance_maps, expected.instance_maps)


def test_a_batch_of_two_is_two_batches_of_one():
    inputs = _inputs(batch=2)
    inputs['embedding'] = inputs['embedding'].clone()
    inputs['embedding'][1] *= -1
    both = _distill(_distiller(semantic_use='semantic'), inputs)
    for index in (0, 1):
        single = {
            name: value[index : index + 1] if name != 'iteration' else value
            for name, value in inputs.items()
        }
        alone = _distill(_distiller(semantic_use='semantic'), single)
        assert torch.equal(both.instance_maps[index], alone.instance_maps[0])
        assert torch.equal(both.semantic_maps[1][index], alone.semantic_maps[1][0])


def test_an_image_without_points_gives_no_instance():
    inputs = _inputs()
    inputs['images'] = [_image([], inputs['weak_maps'][0])]
    targets = _distill(_distiller(semantic_use='semantic'), inputs)
    assert (targets.instance_maps <= 0).all()
    assert not targets.offsets[1][1].any()


def test_a_built_labeler_is_taken_as_it_is():
    labeler = PointPseudoLabeler(conflict='drop')
    assert MutualDistiller(labeler=labeler).labeler is labeler


# Of both true objects, the outer pixels have the object's colour; the gap has another one.
COLORS = [[9, 9, 0, 0, 5, 5], [9, 9, 0, 0, 5, 5]]
ROUND = dict(
    instance_scorer=dict(
        affinity=dict(type='mmp2seg.GuidedAffinity', iterations=8, dilations=(1,)),
        click_radius=0.0,
    ),
    network_weight=0.5,
    rounds=0,
)


def _round(inputs, iteration=10, padding=None, **options):
    distiller = _distiller(**{**ROUND, **options})
    colors = torch.tensor(COLORS).float()[None, None]
    maps = NetworkMaps(
        inputs['semantic_logits'],
        inputs['offset'],
        None,
        inputs=colors.expand(len(inputs['offset']), 3, -1, -1),
    )
    return distiller.distill(
        maps, inputs['weak_maps'], inputs['images'], iteration=iteration, padding=padding
    )


def test_a_round_grows_the_instance_to_what_has_its_colour():
    targets = _round(_inputs(embedding=False), semantic_use='semantic', min_confidence=0.0)
    initial, refined = targets.instance_maps[0]
    assert initial.tolist() == [[1, 1, 0, 0, 2, 0], [1, 1, 0, -1, 2, 0]]
    # where the weak map ignores, no class is known: neither instance nor background
    assert refined.tolist() == [[1, 1, 0, 0, 2, 2], [1, 1, 0, -1, 2, 2]]
    expected = torch.tensor(TRUE)
    expected[1, 3] = 255
    assert targets.semantic_maps[1][0].tolist() == expected.tolist()
    offset, weight = targets.offsets[1]
    assert weight[0].tolist() == (refined > 0).float().tolist()
    assert offset[0, :, 1, 5].tolist() == [-1, -1]


def test_a_round_ignores_what_it_is_not_sure_of():
    targets = _round(_inputs(embedding=False), semantic_use='semantic', min_confidence=1.0)
    semantic_map = targets.semantic_maps[1][0]
    assert semantic_map[0, 0] == 1 and semantic_map[0, 4] == 1  # the clicks
    assert (semantic_map == 255).sum() == semantic_map.numel() - 2


def test_a_part_without_a_click_is_ignored_by_the_semantic_head():
    weak = [[1, 1, 0, 0, 1, 1], [1, 1, 0, 0, 1, 1]]
    inputs = _inputs(weak=weak, embedding=False)
    inputs['images'] = [_image(POINTS[:1], inputs['weak_maps'][0])]
    targets = _round(inputs, semantic_use='semantic')
    assert targets.semantic_maps[1][0, :, 4:].tolist() == [[255, 255], [255, 255]]
    assert targets.instance_maps[0, 1, :, 4:].tolist() == [[-1, -1], [-1, -1]]


@pytest.mark.parametrize(
    ('options', 'expected'),
    [
        (dict(semantic_use='none'), (2, 0, 1)),
        (dict(semantic_use='offset'), (2, 2, 1)),
        (dict(semantic_use='semantic'), (2, 2, 2)),
        (dict(semantic_use='semantic', semantic_begin=11), (2, 2, 1)),
        (dict(semantic_use='semantic', propagate_begin=11), (2, 0, 1)),
        (dict(semantic_use='semantic', refine_begin=None), (1, 0, 1)),
    ],
)
def test_where_and_when_a_round_is_used(options, expected):
    targets = _round(_inputs(embedding=False), min_confidence=0.0, **options)
    found = targets.instance_maps[0, -1, 0, 5].item()
    assert (len(targets.offsets), found, len(targets.semantic_maps)) == expected


def test_rounds_of_a_batch_are_those_of_its_images():
    inputs = _inputs(embedding=False, batch=2)
    inputs['semantic_logits'] = inputs['semantic_logits'].clone()
    inputs['semantic_logits'][1] *= -1
    both = _round(inputs, semantic_use='semantic')
    for index in (0, 1):
        single = {
            name: value[index : index + 1] if name not in ('iteration', 'embedding') else value
            for name, value in inputs.items()
        }
        alone = _round(single, semantic_use='semantic')
        assert torch.equal(both.instance_maps[index], alone.instance_maps[0])
        assert torch.equal(both.semantic_maps[1][index], alone.semantic_maps[1][0])


def test_padding_takes_no_part_in_a_round():
    """The last column has the colour of the one beside it, and scores class 0."""
    inputs = _inputs(weak=[[1, 1, 0, 0, 0, 255]] * 2, embedding=False)
    inputs['images'] = [_image(POINTS[:1], inputs['weak_maps'][0])]
    inputs['semantic_logits'] = inputs['semantic_logits'].clone()
    inputs['semantic_logits'][..., 5] = torch.tensor([-9.0, 9.0])[:, None]
    padding = torch.zeros(1, 2, 6, dtype=torch.bool)
    padding[..., 5] = True
    leaking, kept = (
        _round(inputs, semantic_use='semantic', padding=one, min_confidence=0.0).semantic_maps[1]
        for one in (None, padding)
    )
    assert kept[0].tolist() == [[1, 1, 0, 0, 0, 255]] * 2
    assert leaking[0].tolist() == [[1, 1, 0, 0, 255, 255]] * 2  # class 0, but without a click


def test_a_round_of_an_image_without_points_gives_no_instance():
    inputs = _inputs(embedding=False)
    inputs['images'] = [_image([], inputs['weak_maps'][0])]
    targets = _round(inputs, semantic_use='semantic')
    assert (targets.instance_maps <= 0).all()
    assert not targets.offsets[1][1].any()


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(semantic_use='all'), "semantic_use.*got 'all'"),
        (dict(semantic_input='true'), "semantic_input.*got 'true'"),
        (dict(network_weight=2), 'network_weight.*got 2'),
        (dict(rounds=-1), 'rounds.*got -1'),
    ],
)
def test_unknown_choices_are_errors(options, message):
    with pytest.raises(ValueError, match=message):
        _distiller(**options)


@pytest.mark.parametrize(
    'options',
    [
        dict(rounds=0),
        dict(rounds=1, semantic_use='semantic'),
        dict(instance_scorer=dict(click_radius=0), semantic_use='semantic'),
    ],
)
def test_a_true_mask_is_in_every_target(options):
    """The mask of point 1 has what network and affinity call background, and not its click."""
    mask = torch.tensor([[0, 0, 1, 1, 0, 0], [0, 0, 1, 1, 0, 0]], dtype=torch.bool)
    given = GivenMasks(torch.tensor([1]), mask[None], torch.tensor([True]))
    weak = [[1, 1, 1, 1, 1, 0], [1, 1, 1, 1, 1, 0]]  # as it is loaded: with the mask
    logits = _inputs()['semantic_logits']
    inputs = {**_inputs(weak=weak), 'semantic_logits': logits}
    inputs['images'] = [dataclasses.replace(image, given=given) for image in inputs['images']]
    targets = _distill(_distiller(**options), inputs)
    assert len(targets.offsets) == 2
    for instance_map, (_, weight) in zip(targets.instance_maps[0], targets.offsets):
        assert torch.equal(instance_map == 2, mask)
        assert weight[0][mask].eq(1).all()
    for semantic_map in targets.semantic_maps:
        assert semantic_map[0][mask].eq(1).all()


def test_a_part_of_a_true_mask_without_its_point_stays_a_target():
    """Three regions: of the point, of its mask's other part, and of nobody."""
    semantic_map = torch.tensor([[1, 0, 1, 0, 1]])
    image = _image([[0.5, 0.5]], semantic_map.byte())
    mask = torch.tensor([[[1, 0, 1, 0, 0]]], dtype=torch.bool)
    given = GivenMasks(torch.tensor([0]), mask, torch.tensor([True]))
    image = dataclasses.replace(image, given=given)
    found = _without_orphans(semantic_map[None], _groups([image]), [torch.tensor([1])])
    assert found.tolist() == [[[1, 0, 1, 0, 255]]]


def _joined(images):
    """All of them."""
    return [PointGroup(tuple(range(len(images))), PointBatch.of(images))]


def _scenes(num_classes=3, size=(26, 34), numbers=(5, 0, 1, 9)):
    """Four images with points of up to three classes; the last one is padded."""
    draw = torch.Generator().manual_seed(1)
    weak, images = [], []
    for index, number in enumerate(numbers):
        coarse = torch.rand(4, 7, 9, generator=draw).argmax(0).float()
        semantic_map = torch.nn.functional.interpolate(coarse[None, None], size)[0, 0]
        semantic_map[:3, :5] = 255
        if index == 3:
            semantic_map[:, 30:] = 255
        points = torch.rand(number, 2, generator=draw) * torch.tensor([29.9, size[0]])
        labels = torch.randint(num_classes, (number,), generator=draw)
        semantic_map = semantic_map.byte()
        regions = find_regions(semantic_map.numpy(), labels.numpy())
        images.append(ImagePoints(points, labels, regions))
        weak.append(semantic_map)
    padding = torch.zeros(4, *size, dtype=torch.bool)
    padding[3, :, 30:] = True
    maps = NetworkMaps(
        3 * torch.randn(4, num_classes + 1, 13, 17, generator=draw),
        4 * torch.randn(4, 2, *size, generator=draw),
        torch.randn(4, 6, 7, 9, generator=draw),
        inputs=torch.randn(4, 3, 7, 9, generator=draw)
        .repeat_interleave(4, 2)[..., : size[0], :]
        .repeat_interleave(4, 3)[..., : size[1]],
    )
    return maps, torch.stack(weak), images, padding


GUIDED = dict(affinity=dict(type='mmp2seg.GuidedAffinity', dilations=(1, 2)))


@pytest.mark.parametrize(
    'options',
    [
        dict(rounds=0),
        dict(rounds=0, labeler=dict(conflict='drop', min_region_area=9, max_snap_distance=3)),
        dict(rounds=0, labeler=dict(offset_target='centroid')),
        dict(rounds=1, semantic_use='semantic', semantic_input='weak'),
        dict(rounds=2, semantic_use='semantic', network_weight=0.4),
        dict(instance_scorer=GUIDED, semantic_use='semantic', network_weight=0.5),
        dict(instance_scorer=dict(GUIDED, stride=4), semantic_use='semantic'),
        dict(instance_scorer=dict(GUIDED, stride=2, window=4), semantic_use='offset'),
        dict(instance_scorer=dict(anchor='point', click_radius=None), semantic_use='semantic'),
        dict(instance_scorer=dict(connected=False), semantic_use='semantic'),
        dict(
            instance_scorer=dict(affinity=dict(type='mmp2seg.RandomWalkerAffinity', stride=4)),
            semantic_use='semantic',
        ),
    ],
)
def test_joined_points_give_the_targets_of_the_images(options):
    labeler = dict(type='mmp2seg.PointPseudoLabeler', **options.get('labeler', {}))
    distiller = MODELS.build(
        dict(type='mmp2seg.MutualDistiller', **options) | dict(labeler=labeler)
    )
    maps, weak_maps, images, padding = _scenes()
    inputs = dict(iteration=10, padding=padding)
    single = distiller.distill(maps, weak_maps, images, **inputs)
    joined = distiller.distill(maps, weak_maps, _joined(images), **inputs)
    assert (single.instance_maps[0] > 0).any(dim=(1, 2)).all()
    assert (single.instance_maps[3].amax((1, 2)) > 3).all()
    assert torch.equal(joined.instance_maps, single.instance_maps)
    pairs = zip(
        [*joined.semantic_maps, *(one for pair in joined.offsets for one in pair)],
        [*single.semantic_maps, *(one for pair in single.offsets for one in pair)],
        strict=True,
    )
    for of_batch, of_images in pairs:
        torch.testing.assert_close(of_batch, of_images)


@pytest.mark.parametrize('numbers', [(40, 3, 4, 0), (2, 60, 3, 61)])
@pytest.mark.parametrize('options', [dict(rounds=1), dict(instance_scorer=GUIDED)])
def test_images_with_other_numbers_of_points_are_other_groups(numbers, options, monkeypatch):
    """One of them has a given mask too."""
    monkeypatch.setattr(mutual_distiller, '_can_be_joined', lambda image: image.given is None)
    distiller = _distiller(**options, semantic_use='semantic', network_weight=0.5)
    maps, weak_maps, images, padding = _scenes(numbers=numbers)
    monkeypatch.setattr(mutual_distiller, '_GROUP_PADDING', 10 * weak_maps[0].numel())
    mask = torch.zeros(1, *weak_maps.shape[1:], dtype=torch.bool)
    mask[:, 5:12, 7:19] = True
    given = GivenMasks(torch.tensor([1]), mask, torch.tensor([True]))
    images[2] = dataclasses.replace(images[2], given=given)
    groups = distiller.joined(images)
    expected_places = {40: [(2,), (0,), (1, 3)], 2: [(2,), (1, 3), (0,)]}[numbers[0]]
    assert [group.places for group in groups] == expected_places
    inputs = dict(iteration=10, padding=padding)
    single = distiller.distill(maps, weak_maps, images, **inputs)
    joined = distiller.distill(maps, weak_maps, groups, **inputs)
    assert torch.equal(joined.instance_maps, single.instance_maps)
    assert torch.equal(joined.semantic_maps[1], single.semantic_maps[1])
    for one, other in zip(joined.offsets, single.offsets, strict=True):
        assert all(map(torch.equal, one, other))
    assert (joined.instance_maps[2, :, mask[0]] == 2).all()


def test_memory_limits_a_group(monkeypatch):
    monkeypatch.setattr(mutual_distiller, '_can_be_joined', lambda image: True)
    *_, images, _ = _scenes(numbers=(9, 9, 9, 9))
    pixels = images[0].regions.region_map.numel()
    for number in (1, 2, 3, 4):
        monkeypatch.setattr(mutual_distiller, '_GROUP_ELEMENTS', number * 10 * pixels)
        sizes = [len(group.places) for group in _distiller().joined(images)]
        assert sizes == {1: [1] * 4, 2: [2, 2], 3: [3, 1], 4: [4]}[number]


def test_values_of_padding_are_no_targets():
    """A map of a class without points, at a size that is no multiple of the embedding's."""
    maps, _, images, _ = _scenes(size=(61, 61))
    weak_maps = torch.full((4, 61, 61), 3, dtype=torch.uint8)
    images = [_image_of([[3.5, 3.5]] * number, [0] * number) for number in (3, 1, 2, 0)]
    images[0] = _image_of([[3.5, 3.5], [9.5, 3.5]], [0, 1])
    distiller = _distiller(rounds=1, semantic_use='semantic', semantic_input='weak')
    single = distiller.distill(maps, weak_maps, images, iteration=10)
    joined = distiller.distill(maps, weak_maps, _joined(images), iteration=10)
    assert torch.equal(joined.semantic_maps[1], single.semantic_maps[1])
    assert set(joined.semantic_maps[1].unique().tolist()) <= {0, 1, 2, 255}


def _image_of(points, labels):
    labels = torch.tensor(labels, dtype=torch.int64)
    regions = find_regions(torch.full((61, 61), 3).byte().numpy(), labels.numpy())
    return ImagePoints(torch.tensor(points).float().reshape(-1, 2), labels, regions)


def test_joined_points_of_many_classes():
    maps, weak_maps, images, _ = _scenes(num_classes=40)
    distiller = _distiller(instance_scorer=GUIDED, semantic_use='semantic', network_weight=0.9)
    single = distiller.distill(maps, weak_maps, images, iteration=10)
    joined = distiller.distill(maps, weak_maps, _joined(images), iteration=10)
    assert torch.equal(joined.instance_maps, single.instance_maps)
    assert torch.equal(joined.semantic_maps[1], single.semantic_maps[1])


def test_when_points_are_joined(monkeypatch):
    monkeypatch.setattr(PointBatch, 'of', lambda images: f'{len(images)} joined')
    regions = SimpleNamespace(region_map=torch.zeros(2, 3))

    def images_of(device):
        labels = _Labels(torch.device(device))
        return [
            SimpleNamespace(labels=labels, values=0, given=None, regions=regions) for _ in range(3)
        ]

    class OfOthers(InstanceScorer):
        def assign(self, *args, **options):
            return super().assign(*args, **options)

    plain, of_clicks = _distiller(), _distiller(instance_scorer=dict(click_weight=0.1))
    guided, of_others = _distiller(instance_scorer=GUIDED), _distiller(instance_scorer=OfOthers())
    on_gpu = images_of('cuda')
    for distiller in (plain, guided):
        assert distiller.joined(on_gpu) == [((0, 1, 2), '3 joined')]
    for distiller, images in (
        (plain, images_of('cpu')),
        (of_clicks, on_gpu),
        (of_others, on_gpu),
    ):
        assert distiller.joined(images) == [((place,), one) for place, one in enumerate(images)]
    on_gpu[1].given = 'a mask'
    assert plain.joined(on_gpu) == [((1,), on_gpu[1]), ((0, 2), '2 joined')]


class _Labels(list):
    def __init__(self, device):
        super().__init__([0, 0])
        self.device = device


def test_given_masks_cannot_be_joined():
    *_, images, _ = _scenes()
    limits = torch.ones(1, 26, 34, dtype=torch.bool)
    given = GivenMasks(torch.tensor([0]), limits, torch.tensor([True]))
    with pytest.raises(ValueError, match='without given masks'):
        PointBatch.of([dataclasses.replace(images[0], given=given), *images[1:]])
