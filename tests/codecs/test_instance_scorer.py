import pytest
import torch
from mmengine.registry import DefaultScope

from mmp2seg.codecs import AssignmentMemo, GivenMasks, InstanceScorer
from mmp2seg.codecs.affinities import GuidedAffinity
from mmp2seg.ops.coords import pixel_centers
from mmp2seg.registry import TASK_UTILS

GUIDED = dict(type='mmp2seg.GuidedAffinity', iterations=3, dilations=(1, 2))


def _scene(num_points=8, size=(40, 53), seed=0, points=None):
    """Two halves of other colours, noisy probabilities of two classes, offsets to the points."""
    draw = torch.Generator().manual_seed(seed)
    height, width = size
    image = torch.zeros(3, *size)
    image[:, :, width // 2 :] = 100
    image += torch.randn(3, *size, generator=draw) * 5
    if points is None:
        points = torch.rand(num_points, 2, generator=draw) * torch.tensor([width, height])
    channels = 1 + (points[:, 0] > width / 2).long()
    probs = torch.rand(3, *size, generator=draw)
    probs[1, :, : width // 2] += 0.8
    probs[2, :, width // 2 :] += 0.8
    nearest = (pixel_centers(*size)[None] - points[:, :, None, None]).square().sum(1).argmin(0)
    offset = points.T[:, nearest] - pixel_centers(*size)
    offset += torch.randn(2, *size, generator=draw)
    return dict(probs=probs, offset=offset, points_xy=points, channels=channels, image=image)


def _assign(scene, **options):
    return InstanceScorer(**options).assign(**scene)


def _agree(one, other, share=0.999):
    """Whether two assignments are equal but for rounding where two scores are."""
    maps = ((one.instance_map, other.instance_map), (one.channel_map, other.channel_map))
    equal = all((first == second).float().mean() >= share for first, second in maps)
    return equal and torch.allclose(one.confidence, other.confidence, atol=2e-3)


@pytest.mark.parametrize('scope', ['mmdet', 'mmseg', 'mmp2seg'])
def test_it_is_built_by_its_name(scope):
    with DefaultScope.overwrite_default_scope(scope):
        scorer = TASK_UTILS.build(dict(type='mmp2seg.InstanceScorer', affinity=GUIDED))
    assert scorer.affinity.iterations == 3 and not scorer.needs_embedding


@pytest.mark.parametrize('stride', [1, 3])
@pytest.mark.parametrize('affinity', [None, GUIDED])
def test_windows_do_not_show(stride, affinity):
    scene = _scene(num_points=30)
    options = dict(affinity=affinity, stride=stride, connected=False)
    assert _agree(_assign(scene, window=7, **options), _assign(scene, window=1000, **options))


@pytest.mark.parametrize('stride', [1, 3])
@pytest.mark.parametrize('keeps_weights', [True, False])
def test_a_memo_computes_the_windows_that_changed_alone(stride, keeps_weights, monkeypatch):
    calls, original = [], GuidedAffinity.__call__
    monkeypatch.setattr(
        GuidedAffinity, '__call__', lambda *args, **kw: calls.append(1) or original(*args, **kw)
    )
    # one class, whose points are far apart
    points = torch.tensor([[9.0, 20.0], [30.0, 20.0], [150.0, 20.0], [152.0, 8.0], [31.0, 22.0]])
    scene = _scene(points=points, size=(40, 180))
    scene['channels'] = torch.ones(5, dtype=torch.long)
    scorer = InstanceScorer(affinity=GUIDED, stride=stride, window=24 // stride)
    memo = AssignmentMemo() if keeps_weights else AssignmentMemo(affinity=None)
    computed = []
    for chosen in ([0, 1, 2], [0, 1, 2], [0, 1, 2, 3], [1, 0, 2], [0, 1, 2, 4], []):
        part = {**scene, 'points_xy': points[chosen], 'channels': scene['channels'][chosen]}
        before = len(calls)
        found = scorer.assign(**part, memo=memo)
        computed.append(len(calls) - before)
        expected = scorer.assign(**part)
        for name in ('instance_map', 'channel_map', 'confidence'):
            assert torch.equal(getattr(found, name), getattr(expected, name)), (chosen, name)
    assert computed[0] == 16 and computed[1] == 0 and 0 < computed[2] < 16
    assert bool(memo.affinity) == keeps_weights


def test_pairs_are_compared_on_the_grid_of_the_stride():
    """The embedding has two halves: the noise of the scores goes."""
    scene = _scene(points=torch.tensor([[13.2, 20.7], [40.1, 18.4]]))
    half = 53 // 2
    embedding = torch.zeros(2, 10, 14)
    embedding[0, :, : half // 4], embedding[1, :, half // 4 :] = 4, 4
    scene['embedding'] = embedding - 2
    options = dict(affinity=dict(type='mmp2seg.PairwiseAffinity', beta=2.0), stride=4)
    assigned = _assign(scene, **options)
    assert (assigned.instance_map[:, : half - 6] == 1).all()
    assert (assigned.instance_map[:, half + 6 :] == 2).all()
    assert not (_assign(scene).instance_map[:, : half - 6] == 1).all()


def test_every_pixel_gets_a_class_and_a_point_of_it():
    scene = _scene()
    assigned = _assign(scene, affinity=GUIDED, connected=False)
    objects = assigned.instance_map > 0
    assert torch.equal(objects, assigned.channel_map > 0) and objects.any() and not objects.all()
    owners = scene['channels'][assigned.instance_map[objects].long() - 1]
    assert torch.equal(owners, assigned.channel_map[objects])
    assert (assigned.confidence > 1 / 3 - 1e-6).all() and (assigned.confidence < 1 + 1e-5).all()


def test_an_affinity_takes_noise_away():
    scene = _scene(points=torch.tensor([[13.2, 20.7], [40.1, 18.4]]))
    half = scene['image'].shape[2] // 2
    truth = torch.ones(scene['image'].shape[1:], dtype=torch.int64)
    truth[:, half:] = 2
    alone, propagated = (_assign(scene, affinity=one) for one in (None, GUIDED))
    errors = [(one.channel_map != truth).float().mean() for one in (alone, propagated)]
    assert errors[1] < 0.5 * errors[0]


@pytest.mark.parametrize('radius', [0.0, 2.0])
def test_clicks_keep_their_pixels(radius):
    """All scores say background: the clicks are all that is left."""
    scene = _scene(num_points=3, seed=2)
    scene['probs'][1:] = 0
    assigned = _assign(scene, affinity=GUIDED, click_radius=radius)
    columns, rows = scene['points_xy'].long().T
    assert assigned.instance_map[rows, columns].tolist() == [1, 2, 3]
    assert assigned.channel_map[rows, columns].tolist() == scene['channels'].tolist()
    assert not _assign(scene, affinity=GUIDED, click_radius=None).instance_map.any()


def test_parts_without_their_click_are_taken_away():
    probs = torch.zeros(2, 1, 9)
    probs[1, 0, :3] = probs[1, 0, 6:] = 1
    probs[0] = 1 - probs[1]
    scene = dict(
        probs=probs,
        offset=torch.zeros(2, 1, 9),
        points_xy=torch.tensor([[0.5, 0.5]]),
        channels=torch.tensor([1]),
    )
    options = dict(click_radius=0.0)
    assert _assign(scene, **options).instance_map[0].tolist() == [1, 1, 1, 0, 0, 0, 0, 0, 0]
    whole = _assign(scene, connected=False, **options)
    assert whole.instance_map[0].tolist() == [1, 1, 1, 0, 0, 0, 1, 1, 1]
    # the class of a part that was taken away is known
    assert _assign(scene, **options).channel_map[0].tolist() == [1, 1, 1, 0, 0, 0, 1, 1, 1]


def test_off_centre_clicks_are_compared_by_where_they_land():
    """Two upright bars with offsets to their middles; one click is at a bar's top."""
    middles = torch.tensor([[1.0, 5.0], [3.0, 5.0]])
    columns = torch.tensor([0, 0, 1, 1])
    centers = pixel_centers(10, 4)
    scene = dict(
        probs=torch.tensor([0.0, 1.0])[:, None, None].expand(2, 10, 4),
        offset=middles.T[:, columns][:, None].expand(2, 10, 4) - centers,
        points_xy=torch.tensor([[0.5, 0.5], [2.5, 5.5]]),
        channels=torch.tensor([1, 1]),
    )
    options = dict(landing_weight=1.0, sigma=1.0, click_radius=0.0, connected=False)
    bars = (columns + 1).int().expand(10, 4)
    assert torch.equal(_assign(scene, **options).instance_map, bars)
    assert not torch.equal(_assign(scene, anchor='point', **options).instance_map, bars)


@pytest.mark.parametrize('stride', [1, 2])
def test_a_flipped_image_gives_flipped_instances(stride):
    scene = _scene(size=(40, 52))
    flipped = {**scene, 'probs': scene['probs'].flip(-1), 'image': scene['image'].flip(-1)}
    flipped['offset'] = scene['offset'].flip(-1) * torch.tensor([-1.0, 1.0])[:, None, None]
    flipped['points_xy'] = scene['points_xy'] * torch.tensor([-1, 1]) + torch.tensor([52, 0])
    one, other = (
        _assign(values, affinity=GUIDED, stride=stride, connected=False)
        for values in (scene, flipped)
    )
    assert (one.instance_map == other.instance_map.flip(-1)).float().mean() > 0.999
    assert torch.allclose(one.confidence, other.confidence.flip(-1), atol=1e-4)


def test_padding_gives_nothing():
    scene = _scene()
    padded = {
        name: torch.nn.functional.pad(value, (0, 16, 0, 16), value=3.0)
        if value.dim() == 3
        else value
        for name, value in scene.items()
    }
    valid = torch.zeros(56, 69, dtype=torch.bool)
    valid[:40, :53] = True
    options = dict(affinity=GUIDED, connected=False)
    whole, part = _assign({**padded, 'valid': valid}, **options), _assign(scene, **options)
    inner = (slice(0, 32), slice(0, 45))  # what does not see the border, which is not the same
    assert torch.equal(whole.instance_map[inner], part.instance_map[inner])
    leaking = _assign(padded, **options)
    assert not torch.allclose(leaking.confidence[:40, :53], whole.confidence[:40, :53])


def test_without_points_all_is_background():
    scene = _scene(num_points=1)
    scene.update(points_xy=torch.zeros(0, 2), channels=torch.zeros(0, dtype=torch.int64))
    assigned = _assign(scene, affinity=GUIDED)
    assert not assigned.instance_map.any()


def test_the_embedding_separates_what_the_image_does_not():
    """One colour, but two halves of the embedding: they do not mix at the border."""
    scene = _scene(points=torch.tensor([[13.2, 20.7], [40.1, 18.4]]))
    scene['image'] = torch.zeros_like(scene['image'])
    half = scene['image'].shape[2] // 2
    embedding = torch.zeros(2, *scene['image'].shape[1:])
    embedding[0, :, :half], embedding[1, :, half:] = 6, 6
    confidences = [
        _assign(
            {**scene, 'embedding': embedding},
            affinity=dict(GUIDED, use_embedding=use, beta=4.0),
        ).confidence[:, half - 2 : half + 2]
        for use in (False, True)
    ]
    assert confidences[1].mean() > confidences[0].mean() + 0.03
    coarse = embedding[:, ::2, ::2]
    options = dict(affinity=dict(GUIDED, use_embedding=True), connected=False)
    scene['embedding'] = coarse
    assert _agree(_assign(scene, window=9, **options), _assign(scene, **options))


@pytest.mark.parametrize('affinity', [None, GUIDED])
def test_what_is_like_a_click_belongs_to_it(affinity):
    """The network sees nothing; the embedding of the left half is that of the first click."""
    scene = _scene(points=torch.tensor([[13.2, 20.7], [40.1, 18.4]]))
    scene['probs'] = torch.tensor([0.9, 0.05, 0.05])[:, None, None].expand(3, 40, 53)
    half = 53 // 2
    embedding = torch.zeros(2, 40, 53)
    embedding[0, :, :half], embedding[1, :, half:] = 3, -3
    scene['embedding'] = embedding - 0.5
    options = dict(affinity=affinity, click_weight=0.5, connected=False)
    scorer = InstanceScorer(**options)
    assert scorer.needs_embedding
    instances = scorer.assign(**scene).instance_map
    assert (instances[:, : half - 8] == 1).all() and (instances[:, half + 8 :] == 2).all()
    assert _agree(_assign(scene, window=9, **options), _assign(scene, **options))
    alone = _assign(scene, affinity=affinity, connected=False).instance_map
    assert (alone > 0).float().mean() < 0.1
    with pytest.raises(ValueError, match='an embedding'):
        _assign({**scene, 'embedding': None}, **options)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(click_weight=2), 'click_weight'),
        (dict(anchor='best'), 'anchor'),
        (dict(landing_weight=2), 'landing_weight'),
        (dict(sigma=0), 'sigma'),
        (dict(stride=0), 'stride'),
        (dict(window=0), 'window'),
        (dict(click_radius=-1), 'click_radius'),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        InstanceScorer(**options)


def test_an_affinity_needs_an_image():
    scene = {**_scene(), 'image': None}
    with pytest.raises(ValueError, match='an image'):
        _assign(scene, affinity=GUIDED)


def _with_given(scene, points, *, is_mask):
    """Squares of 13 pixels around some points of a scene."""
    height, width = scene['probs'].shape[1:]
    rows, columns = torch.arange(height)[:, None], torch.arange(width)
    limits = []
    for x, y in scene['points_xy'][points]:
        limits.append(((columns - x).abs() < 6.5) & ((rows - y).abs() < 6.5))
    kinds = torch.full((len(points),), is_mask)
    return {**scene, 'given': GivenMasks(torch.tensor(points), torch.stack(limits), kinds)}


@pytest.mark.parametrize('stride', [1, 2])
@pytest.mark.parametrize('affinity', [None, GUIDED])
@pytest.mark.parametrize('connected', [False, True])
def test_true_masks_are_the_instances(stride, affinity, connected):
    scene = _with_given(_scene(num_points=12), [3, 7], is_mask=True)
    scene['given'].limits[0, 1, 50] = True  # a part of its own
    found = _assign(scene, stride=stride, affinity=affinity, connected=connected)
    masks = scene['given'].limits
    owned = masks.sum(0) == 1
    for point, mask in zip([3, 7], masks):
        assert torch.equal((found.instance_map == point + 1) & owned, mask & owned)
        assert not ((found.instance_map == point + 1) & ~mask).any()
        assert (found.channel_map[mask & owned] == scene['channels'][point]).all()
        assert (found.confidence[mask & owned] == 1).all()


@pytest.mark.parametrize('stride', [1, 2])
def test_a_point_has_no_pixel_outside_of_its_box(stride):
    scene = _scene(num_points=5)
    boxed = _with_given(scene, [1], is_mask=False)
    found = _assign(boxed, stride=stride, affinity=GUIDED)
    pixels = found.instance_map == 2
    assert pixels.any() and not (pixels & ~boxed['given'].limits[0]).any()
    free = _assign(scene, stride=stride, affinity=GUIDED).instance_map == 2
    assert (free & ~boxed['given'].limits[0]).any()  # the box does limit something


@pytest.mark.parametrize('stride', [1, 3])
@pytest.mark.parametrize('is_mask', [False, True])
def test_windows_do_not_show_in_given_masks(stride, is_mask):
    scene = _with_given(_scene(num_points=30), [3, 7, 20, 25], is_mask=is_mask)
    options = dict(affinity=GUIDED, stride=stride, connected=False)
    assert _agree(_assign(scene, window=7, **options), _assign(scene, window=1000, **options))


def test_a_memo_knows_the_masks():
    scene, memo = _scene(num_points=8), AssignmentMemo()
    scorer = InstanceScorer(affinity=GUIDED)
    for one in (
        scene,
        _with_given(scene, [2], is_mask=True),
        _with_given(scene, [2], is_mask=False),
    ):
        found, expected = scorer.assign(**one, memo=memo), scorer.assign(**one)
        assert torch.equal(found.instance_map, expected.instance_map)


def test_a_mask_far_from_its_click_is_in_its_windows():
    """Where it is, other points of its class are so much nearer that it has no share."""
    points = torch.tensor([[9.0, 20.0], [150.0, 20.0], [165.0, 20.0]])
    scene = _scene(points=points, size=(40, 180))
    scene['channels'] = torch.ones(3, dtype=torch.long)
    mask = torch.zeros(1, 40, 180, dtype=torch.bool)
    mask[0, 5:9, 155:160] = True
    given = GivenMasks(torch.tensor([0]), mask, torch.tensor([True]))
    found = _assign({**scene, 'given': given}, affinity=GUIDED, window=24, connected=False)
    assert torch.equal(found.instance_map == 1, mask[0])


class Recorder:
    """An affinity that changes nothing and notes which pixels it must not change."""

    reach, needs_embedding = 0, False

    def __call__(self, scores, *, fixed, **others):
        self.fixed = fixed
        return scores


@pytest.mark.parametrize('radius', [None, 2.0])
def test_masks_are_fixed_while_scores_propagate(radius):
    scene, affinity = _with_given(_scene(num_points=4), [2], is_mask=True), Recorder()
    _assign(scene, affinity=affinity, click_radius=radius)
    assert affinity.fixed[scene['given'].limits[0]].all()
    others = affinity.fixed & ~scene['given'].limits[0]
    assert bool(others.any()) == (radius is not None)  # the clicks


def test_a_batch_needs_an_image_and_no_embedding():
    scene = [torch.rand(1, 2, 4, 5), torch.zeros(1, 2, 4, 5), torch.ones(1, 1, 2)]
    scene.append(torch.ones(1, 1, dtype=torch.int64))
    with pytest.raises(ValueError, match='expected an image'):
        InstanceScorer(affinity=GuidedAffinity()).assign_batch(*scene)
    with pytest.raises(ValueError, match='without an embedding'):
        InstanceScorer(click_weight=0.5).assign_batch(*scene)
    assert InstanceScorer().assign_batch(*scene).instance_map.shape == (1, 4, 5)
