import numpy as np
import pytest

from mmp2seg.ops.rle import decode_rle, encode_rle
from mmp2seg.pseudo_labels.coco_json import check_content, mask_entries
from mmp2seg.pseudo_labels.refinement import CandidateRefiner
from mmp2seg.registry import TASK_UTILS

IMAGES = [{'id': 4, 'file_name': 'a.jpg', 'height': 1, 'width': 10}]
CATEGORIES = [{'id': 11, 'name': 'cat'}]


def rle(text):
    return encode_rle(np.array([[letter == '#' for letter in text]]))


def annotation(point_id, text, *, column, candidates=None, **changes):
    entry = dict(
        id=point_id,
        image_id=4,
        category_id=11,
        **mask_entries(rle(text)),
        iscrowd=0,
        score=0.7,
        point=[column + 0.5, 0.5],
        point_id=point_id,
        **changes,
    )
    if candidates is not None:
        entry['candidate'] = 0
        entry['candidates'] = [
            dict(segmentation=rle(text), score=score) for text, score in candidates
        ]
    return entry


def dropped(point_id, column):
    return dict(
        image_id=4, category_id=11, point=[column + 0.5, 0.5], point_id=point_id, reason='no_region'
    )


def content(annotations, dropped=(), **changes):
    parts = dict(images=IMAGES, categories=CATEGORIES, annotations=annotations,
                 dropped_points=list(dropped), info=dict(method='x'))  # fmt: skip
    return check_content({**parts, **changes}, where='test')


def masks_of(labels):
    """Masks as texts by point id."""
    return {
        ann['point_id']: ''.join('.#'[int(value)] for value in decode_rle(ann['segmentation'])[0])
        for ann in labels['annotations']
    }


THREE = [('.##.......', 0.9), ('.####.....', 0.5), ('.#########', 0.9)]


def refine(labels, candidates, **options):
    return CandidateRefiner(**options)(labels, candidates)


@pytest.mark.parametrize(
    ('own', 'options', 'taken', 'mask'),
    [
        ('.###......', {}, 'candidate 0', '.##.......'),  # 2/3 + .45 against 3/4 + .25
        ('.###......', dict(score_weight=0), 'candidate 1', '.####.....'),
        ('.###......', dict(min_iou=0.7, score_weight=1), 'candidate 1', '.####.....'),
        ('.###......', dict(min_iou=0.8), 'own', '.###......'),
        ('.#######..', dict(score_weight=0), 'candidate 2', '.#########'),
        ('#.........', {}, 'own', '##........'),  # agrees with none; the click is at column 1
    ],
)
def test_the_candidate_that_agrees_takes_the_place(own, options, taken, mask):
    labels = content([annotation(0, own, column=1, click_score=0.25)])
    sam = content([annotation(0, THREE[0][0], column=1, candidates=THREE)])
    found = refine(labels, sam, **options)
    assert found.taken == {taken: 1}
    assert masks_of(found.labels) == {0: mask}
    (entry,) = found.labels['annotations']
    assert entry['area'] == mask.count('#') and entry['bbox'][2] >= 1
    assert entry['score'] == 0.7 and entry['click_score'] == 0.25  # the network's
    assert entry.get('candidate') == (None if taken == 'own' else int(taken[-1]))
    assert 'candidates' not in entry
    assert found.labels['info']['refined']['taken'] == {taken: 1}
    assert found.labels['info']['method'] == 'x'


def test_agreement_is_the_mean_iou_of_those_that_were_replaced():
    labels = content([annotation(0, '.###......', column=1), annotation(1, '........#.', column=8)])
    sam = content(
        [annotation(0, THREE[0][0], column=1, candidates=THREE),
         annotation(1, '.....##...', column=8, candidates=[('.....##...', 1.0)])]
    )  # fmt: skip
    found = refine(labels, sam, score_weight=0)
    assert found.taken == {'own': 1, 'candidate 1': 1}
    assert found.agreement == pytest.approx(3 / 4)
    lines = found.describe().splitlines()
    assert lines[0] == 'points: 2'
    assert '  kept their mask: 1 (50.0 %)' in lines
    assert '  took the middle candidate: 1 (50.0 %)' in lines
    assert lines[-1].endswith('0.750')


def test_a_pixel_of_two_masks_stays_where_it_was_and_clicks_are_in_their_own():
    labels = content([annotation(0, '####......', column=1), annotation(1, '....####..', column=5)])
    sam = content(
        [annotation(0, '#####.....', column=1, candidates=[('######....', 1.0)]),
         annotation(1, '...######.', column=5, candidates=[('...######.', 1.0)])]
    )  # fmt: skip
    found = refine(labels, sam)
    assert found.taken == {'candidate 0': 2}
    assert masks_of(found.labels) == {0: '####......', 1: '....#####.'}


def test_a_pixel_that_neither_had_goes_to_the_smaller_mask():
    labels = content([annotation(0, '###.......', column=1), annotation(1, '.......##.', column=7)])
    sam = content(
        [annotation(0, '######....', column=1, candidates=[('######....', 1.0)]),
         annotation(1, '.....####.', column=7, candidates=[('.....####.', 1.0)])]
    )  # fmt: skip
    assert masks_of(refine(labels, sam).labels) == {0: '#####.....', 1: '.....####.'}


def test_points_without_a_mask_take_one_that_holds_no_other_click():
    labels = content([annotation(0, '.......##.', column=8)], [dropped(1, 1)])
    sam = content(
        [annotation(0, '.......##.', column=8),
         annotation(1, '.#########', column=1, candidates=THREE)]
    )  # fmt: skip
    found = refine(labels, sam)
    assert found.taken == {'own': 1, 'added': 1}
    assert masks_of(found.labels) == {0: '.......##.', 1: '.##.......'}
    assert found.labels['dropped_points'] == []
    assert np.isnan(found.agreement)
    kept = refine(labels, sam, add_missing=False)
    assert kept.taken == {'own': 1, 'none': 1}
    assert kept.labels['dropped_points'] == [dropped(1, 1)]


def test_a_point_that_the_other_file_does_not_have_keeps_its_mask():
    labels = content([annotation(0, '.###......', column=1), annotation(3, '.....##...', column=5)])
    sam = content([annotation(0, '.##.......', column=1, candidates=THREE)])
    found = refine(labels, sam)
    assert masks_of(found.labels)[3] == '.....##...'
    assert found.taken['own'] == 1


def test_empty_candidates_are_never_taken():
    labels = content([annotation(0, '.###......', column=1)], [dropped(1, 8)])
    empty = [('..........', 1.0)] * 3
    sam = content(
        [annotation(0, '.#........', column=1, candidates=empty),
         annotation(1, '........#.', column=8, candidates=empty)]
    )  # fmt: skip
    found = refine(labels, sam, min_iou=0)
    assert found.taken == {'own': 1, 'none': 1}


def test_without_images_or_points():
    found = refine(content([]), content([]))
    assert found.labels['annotations'] == [] and found.taken == {}
    assert found.describe() == 'points: 0'


def test_errors_name_the_file():
    labels = content([annotation(0, '.###......', column=1)])
    with pytest.raises(ValueError, match=r'sam\.json: expected annotations with candidates'):
        CandidateRefiner()(labels, labels, names=('own.json', 'sam.json'))
    moved = content([annotation(0, '.##.......', column=2, candidates=THREE)])
    with pytest.raises(
        ValueError, match=r'sam\.json: image 4, point 0: expected the place \[1\.5, 0\.5\]'
    ):
        CandidateRefiner()(labels, moved, names=('own.json', 'sam.json'))
    other = content([], images=[dict(IMAGES[0], id=5)])
    with pytest.raises(ValueError, match=r'sam\.json: expected the images of own\.json'):
        CandidateRefiner()(labels, other, names=('own.json', 'sam.json'))


@pytest.mark.parametrize('options', [dict(min_iou=1.1), dict(min_iou=-1), dict(score_weight=-1)])
def test_broken_options(options):
    with pytest.raises(ValueError, match='expected min_iou in 0..1 and score_weight'):
        CandidateRefiner(**options)


def test_it_is_registered():
    built = TASK_UTILS.build(dict(type='mmp2seg.CandidateRefiner', min_iou=0.3))
    assert built.min_iou == 0.3
