import numpy as np
import pytest

from mmp2seg.analysis.simulated_candidates import (
    SimulationLevels,
    compare_choices,
    draw_candidates,
    simulate_candidates,
)
from mmp2seg.evaluation.functional.truth_file import TruthFile
from mmp2seg.files.atomic_write import write_json
from mmp2seg.ops.candidates import mask_ious
from mmp2seg.ops.rle import decode_rle, encode_rle
from mmp2seg.pseudo_labels.coco_json import assemble, check_content, mask_entries

SIZE = (60, 80)
EXACT = SimulationLevels(border=0.0, missed=0.0, spread=0.0)


def disc(centre, radius):
    rows, cols = np.indices(SIZE)
    return np.hypot(cols + 0.5 - centre[0], rows + 0.5 - centre[1]) <= radius


OBJECTS = [((15.0, 20.0), 9), ((45.0, 22.0), 12), ((60.0, 48.0), 8)]


def entry(index, mask):
    (x, y), _ = OBJECTS[index]
    return dict(
        id=index, image_id=1, category_id=1, point=[x, y], point_id=index, iscrowd=0, score=0.5,
        **mask_entries(encode_rle(mask)),
    )  # fmt: skip


@pytest.fixture
def truth(tmp_path):
    images = [dict(id=1, file_name='a.png', height=SIZE[0], width=SIZE[1])]
    annotations = [entry(n, disc(*each)) for n, each in enumerate(OBJECTS)]
    write_json(
        tmp_path / 'truth.json',
        dict(images=images, categories=[dict(id=1, name='cat')], annotations=annotations),
    )
    return TruthFile(tmp_path / 'truth.json')


@pytest.fixture
def labels():
    """A network's masks: two rough ones, and a point without."""
    images = [dict(id=1, file_name='a.png', height=SIZE[0], width=SIZE[1])]
    rough = [disc(centre, radius * 1.3) for centre, radius in OBJECTS]
    point = dict(image_id=1, category_id=1, point=list(OBJECTS[2][0]), point_id=2)
    return assemble(
        images,
        [dict(id=1, name='cat')],
        [entry(0, rough[0]), entry(1, rough[1])],
        [dict(point, reason='no_region')],
        {},
    )


def test_part_object_and_group_without_noise():
    masks = [disc(*each) for each in OBJECTS]
    found, scores = draw_candidates(
        masks, 0, pixel=(20, 15), rng=np.random.default_rng(0), levels=EXACT
    )
    part, middle, group = found
    assert part[20, 15] and not (part & ~middle).any() and 0 < part.sum() < middle.sum()
    np.testing.assert_array_equal(middle, masks[0])
    np.testing.assert_array_equal(group, masks[0] | masks[1])  # the nearest
    assert scores.tolist() == pytest.approx([0.85, 0.9, 0.85])


def test_the_group_of_a_single_object_is_larger():
    mask = disc(*OBJECTS[0])
    found, _ = draw_candidates(
        [mask], 0, pixel=(20, 15), rng=np.random.default_rng(0), levels=EXACT
    )
    assert found[2].sum() > 2 * mask.sum() and found[2][mask].all()


def test_a_missed_object_leaves_two_parts():
    masks = [disc(*each) for each in OBJECTS]
    levels = SimulationLevels(border=0.0, missed=1.0)
    for seed in range(5):
        found, _ = draw_candidates(
            masks, 0, pixel=(20, 15), rng=np.random.default_rng(seed), levels=levels
        )
        assert (mask_ious(found, masks[0]) < 1).all()


def test_noise_moves_the_border_and_keeps_the_click():
    masks = [disc(*each) for each in OBJECTS]
    for seed in range(5):
        found, _ = draw_candidates(
            masks, 2, pixel=(48, 60), rng=np.random.default_rng(seed),
            levels=SimulationLevels(border=1.0, missed=0.0),
        )  # fmt: skip
        assert found[:, 48, 60].all()
        assert (found.sum((1, 2))[1:] >= found.sum((1, 2))[:-1]).all()
        assert 0.5 < mask_ious(found, masks[2])[1] < 1


def simulate(labels, truth, **options):
    return simulate_candidates(labels, truth, rng=np.random.default_rng(0), levels=EXACT, **options)


def test_content_has_the_layout_of_sams_labels(labels, truth):
    content = check_content(simulate(labels, truth), where='test')
    assert [ann['point_id'] for ann in content['annotations']] == [0, 1, 2]
    for ann in content['annotations']:
        x, y = ann['point']
        assert decode_rle(ann['segmentation'])[int(y), int(x)]
        assert len(ann['candidates']) == 3
        assert ann['score'] == ann['candidates'][ann['candidate']]['score']
    drawn = sum(decode_rle(ann['segmentation']).astype(int) for ann in content['annotations'])
    assert drawn.max() == 1


def test_choices(labels, truth):
    levels = SimulationLevels(border=0.0, missed=0.0, spread=0.0, advantage=-0.1)
    places = {}
    for choice in ('score', 'exclusive', 'best'):
        content = simulate_candidates(
            labels, truth, rng=np.random.default_rng(0), levels=levels, choice=choice
        )
        places[choice] = [ann['candidate'] for ann in content['annotations']]
    assert places['best'] == [1, 1, 1]
    assert 1 not in places['score']
    assert places['exclusive'] == [0, 0, 0]  # the group holds another click
    with pytest.raises(ValueError, match="'exclusive' or 'best', got 'x'"):
        simulate(labels, truth, choice='x')


def test_the_masks_of_a_network_choose_what_the_scores_cannot(labels, truth):
    levels = SimulationLevels(border=0.3, missed=0.0, advantage=0.0)
    found = compare_choices(labels, truth, levels=levels)
    assert found['best'] > 0.8 > found['score']
    assert found['refined'] > max(found['labels'], found['score'], found['exclusive'])
    assert found['taken/candidate 1'] == pytest.approx(2 / 3)
    assert found['taken/added'] == pytest.approx(1 / 3)
    assert compare_choices(labels, truth, levels=levels) == found
