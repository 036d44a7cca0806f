import numpy as np
import pytest

from mmp2seg.files.atomic_write import write_json
from mmp2seg.ops.rle import decode_rle, encode_rle
from mmp2seg.pseudo_labels.coco_json import load
from mmp2seg.pseudo_labels.fallback import with_fallback

IMAGES = [{'id': 4, 'file_name': 'a.jpg', 'height': 1, 'width': 8}]
CATEGORIES = [{'id': 11, 'name': 'cat'}]


def _annotation(point_id, columns, click_score=None):
    mask = np.zeros((1, 8), bool)
    mask[0, columns] = True
    entry = dict(
        id=point_id,
        image_id=4,
        category_id=11,
        bbox=[float(min(columns)), 0.0, float(len(columns)), 1.0],
        area=len(columns),
        segmentation=encode_rle(mask),
        iscrowd=0,
        score=0.7,
        point=[columns[0] + 0.5, 0.5],
        point_id=point_id,
    )
    return entry if click_score is None else {**entry, 'click_score': click_score}


def _dropped(point_id):
    return dict(image_id=4, category_id=11, point=[0.5, 0.5], point_id=point_id, reason='no_region')


def _write(path, annotations, dropped=(), images=IMAGES, categories=CATEGORIES):
    content = dict(
        info={},
        images=images,
        categories=categories,
        annotations=annotations,
        dropped_points=list(dropped),
    )
    write_json(path, content)
    return str(path)


def _columns(content):
    return {
        ann['point_id']: np.flatnonzero(decode_rle(ann['segmentation'])[0]).tolist()
        for ann in content['annotations']
    }


def test_a_point_that_the_network_does_not_see_gets_its_start(tmp_path):
    own = [_annotation(1, [0, 1, 2], 0.9), _annotation(2, [7], 0.2), _annotation(3, [6], 0.5)]
    start = [_annotation(1, [0]), _annotation(2, [2, 3, 4]), _annotation(3, [5, 6])]
    paths = _write(tmp_path / 'own.json', own), _write(tmp_path / 'start.json', start)
    content, taken = with_fallback(*paths)
    assert taken == 1
    assert _columns(content) == {1: [0, 1, 2], 2: [3, 4], 3: [6]}  # pixel 2 is that of point 1
    changed = content['annotations'][1]
    assert (changed['area'], changed['bbox'], changed['click_score']) == (2, [3, 0, 2, 1], 0.2)
    assert content['info']['num_fallback'] == 1
    write_json(tmp_path / 'out.json', content)
    assert load(tmp_path / 'out.json') == content


def test_the_limit_can_be_set(tmp_path):
    paths = (
        _write(tmp_path / 'own.json', [_annotation(1, [0], 0.6)]),
        _write(tmp_path / 'start.json', [_annotation(1, [0, 1])]),
    )
    assert with_fallback(*paths)[1] == 0
    assert with_fallback(*paths, min_click_score=0.7)[1] == 1


def test_a_dropped_point_gets_a_mask_if_there_is_one(tmp_path):
    own = _write(tmp_path / 'own.json', [_annotation(3, [0, 1], 1.0)], [_dropped(1), _dropped(2)])
    start = _write(tmp_path / 'start.json', [_annotation(1, [4, 5])], [_dropped(2), _dropped(3)])
    content, taken = with_fallback(own, start)
    assert taken == 1 and _columns(content) == {3: [0, 1], 1: [4, 5]} | {}
    assert [entry['point_id'] for entry in content['dropped_points']] == [2]


def test_a_mask_of_which_nothing_is_left_is_not_taken(tmp_path):
    own = [_annotation(1, [0, 1, 2], 1.0), _annotation(2, [7], 0.1)]
    paths = (
        _write(tmp_path / 'own.json', own),
        _write(tmp_path / 'start.json', [_annotation(2, [1, 2])]),
    )
    content, taken = with_fallback(*paths)
    assert taken == 0 and _columns(content) == {1: [0, 1, 2], 2: [7]}


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(images=[{**IMAGES[0], 'file_name': 'b.jpg'}]), r"start.json: .*images.*'a.jpg', 4"),
        (dict(categories=[{'id': 11, 'name': 'dog'}]), r"start.json: .*categories.*'cat', 11"),
    ],
)
def test_files_of_other_data_are_refused(tmp_path, change, message):
    own = _write(tmp_path / 'own.json', [_annotation(1, [0], 0.6)])
    start = _write(tmp_path / 'start.json', [_annotation(1, [0])], **change)
    with pytest.raises(ValueError, match=message):
        with_fallback(own, start)


def test_labels_without_click_scores_are_refused(tmp_path):
    own = _write(tmp_path / 'own.json', [_annotation(1, [0])])
    with pytest.raises(ValueError, match=r'own.json: image 4, point 1: expected a click_score'):
        with_fallback(own, own)


def test_a_true_mask_is_not_replaced(tmp_path):
    own = [{**_annotation(1, [0, 1], 0.1), 'supervision': 'mask'}, _annotation(2, [5], 0.1)]
    start = [_annotation(1, [3]), _annotation(2, [1, 2])]
    paths = _write(tmp_path / 'own.json', own), _write(tmp_path / 'start.json', start)
    content, taken = with_fallback(*paths)
    assert taken == 1 and _columns(content) == {1: [0, 1], 2: [2]}
    assert content['annotations'][0]['supervision'] == 'mask'
