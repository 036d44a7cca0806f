import json
import re

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

from mmp2seg.files.atomic_write import write_json
from mmp2seg.ops.rle import decode_rle, encode_rle
from mmp2seg.pseudo_labels.coco_json import (
    assemble,
    category_ids_of,
    check_content,
    check_same,
    encode_image,
    load,
    merge,
)
from mmp2seg.segmenters import MaskCandidate, PointCandidates

IMAGES = [
    {'id': 7, 'file_name': 'b.jpg', 'height': 3, 'width': 5},
    {'id': 4, 'file_name': 'a.jpg', 'height': 3, 'width': 5, 'license': 2},
]
CATEGORIES = [
    {'id': 11, 'name': 'cat', 'supercategory': 'animal'},
    {'id': 30, 'name': 'dog', 'supercategory': 'animal'},
]


def make_masks():
    masks = np.zeros((2, 3, 5), dtype=bool)
    masks[0, 1:3, 1:4] = True
    masks[0, 2, 1] = False
    masks[1, 0, 4] = True
    return masks


def sample(image_id=4, point_ids=(9, 2), dropped=None, **changes):
    pred = dict(
        masks=torch.from_numpy(make_masks()),
        labels=torch.tensor([1, 0]),
        scores=torch.tensor([0.75, 0.1], requires_grad=True),
        points=torch.tensor([[2.3, 1.5], [4.5, 0.5]], dtype=torch.float64),
        point_ids=torch.tensor(point_ids),
    )
    pred.update(changes)
    return dict(img_id=image_id, pred_instances=pred, dropped_points=dropped or {})


def dropped_points(point_id=5, **changes):
    points = dict(labels=[0], points=[[0.5, 1.5]], point_ids=[point_id], reasons=['no_region'])
    return {**points, **changes}


def encode(*args, **options):
    return encode_image(sample(*args, **options), [11, 30])[0]


def dropped_entry(image_id=4, point_id=5):
    return encode_image(sample(image_id, dropped=dropped_points(point_id)), [11, 30])[1][0]


def assembled(annotations=None, dropped=(), images=IMAGES, categories=CATEGORIES):
    annotations = encode() if annotations is None else annotations
    return assemble(images, categories, annotations, dropped, {'description': 'test'})


def test_encode_by_hand():
    first, second = encode()
    assert first['bbox'] == [1, 1, 3, 2]
    assert first['area'] == 5
    assert first['category_id'] == 30
    assert first['iscrowd'] == 0
    assert first['score'] == 0.75
    assert first['point'] == [2.3, 1.5]
    assert first['point_id'] == 9
    assert first['image_id'] == 4
    assert np.array_equal(decode_rle(first['segmentation']), make_masks()[0])
    assert second['bbox'] == [4, 0, 1, 1]
    assert second['score'] == 0.1


def test_masks_may_be_encoded_before():
    assert encode(masks=[encode_rle(mask) for mask in make_masks()]) == encode()


def test_encode_gives_plain_json_types():
    entries = encode() + [dropped_entry()]
    assert json.loads(json.dumps(entries)) == entries


def test_dropped_by_hand():
    assert dropped_entry() == dict(
        image_id=4, category_id=11, point=[0.5, 1.5], point_id=5, reason='no_region'
    )


@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_floats_read_back_as_the_same_numbers_of_their_type(dtype):
    points = np.random.default_rng(0).uniform(0, 5000, (2, 2)).astype(dtype)
    got = [ann['point'] for ann in encode(points=points)]
    assert np.array_equal(np.array(got, dtype=dtype), points)


def test_points_of_the_file_are_written_as_they_are():
    points = np.array([[0.1, 499.99999], [12.0, 1 / 3]])
    assert [ann['point'] for ann in encode(points=points)] == points.tolist()


def test_encode_nothing():
    nothing = sample(
        masks=np.zeros((0, 3, 5), bool), labels=[], scores=[], points=np.zeros((0, 2)), point_ids=[]
    )
    assert encode_image(nothing, [1]) == ([], [])
    assert encode_image({**nothing, 'dropped_points': None}, [1]) == ([], [])
    del nothing['dropped_points']
    assert encode_image(nothing, [1]) == ([], [])


def test_a_data_sample_of_mmdet_is_read_as_well():
    plain = sample(dropped=dropped_points())
    element = DetDataSample(metainfo=dict(img_id=4))
    element.pred_instances = InstanceData(**plain['pred_instances'])
    element.dropped_points = InstanceData(**plain['dropped_points'])
    assert encode_image({**element.to_dict(), 'img_id': 4}, [11, 30]) == encode_image(
        plain, [11, 30]
    )


@pytest.mark.parametrize(
    'changes, message',
    [
        ({'labels': [1, 2]}, r'image 4, point 2: expected a label in 0\.\.1, got 2'),
        ({'labels': [-1, 0]}, r'image 4, point 9: expected a label in 0\.\.1, got -1'),
        ({'scores': [0.5, np.nan]}, 'image 4, point 2: expected a finite score, got nan'),
        ({'masks': make_masks() & False}, 'image 4, point 9: .* got an empty one'),
        (
            {'scores': [0.5]},
            r'image 4: expected equally many masks, scores, .*got \[2, 1, 2, 2, 2\]',
        ),
    ],
)
def test_encode_errors(changes, message):
    with pytest.raises(ValueError, match=message):
        encode(**changes)


@pytest.mark.parametrize(
    'changes, message',
    [
        ({'points': []}, 'image 4: expected equally many reasons, labels, .*got'),
        ({'labels': [2]}, r'image 4, point 5: expected a label in 0\.\.1, got 2'),
    ],
)
def test_dropped_errors(changes, message):
    with pytest.raises(ValueError, match=message):
        encode(dropped=dropped_points(**changes))


@pytest.mark.parametrize(
    ('known', 'message'),
    [
        ([2, 5, 9], None),
        ([2, 9], r'image 4: .* of the points \[2, 9\], got \[2, 5, 9\]'),
        ([1, 2, 5, 9], r'of the points \[1, 2, 5, 9\], got \[2, 5, 9\]'),
        ([5, 5, 2, 9], r'of the points \[2, 5, 5, 9\], got \[2, 5, 9\]'),
    ],
)
def test_each_point_of_the_file_has_one_entry(known, message):
    data_sample = {
        **sample(dropped=dropped_points()),
        'ori_points': {'point_ids': torch.tensor(known)},
    }
    if message is None:
        assert len(encode_image(data_sample, [11, 30])[0]) == 2
        return
    with pytest.raises(ValueError, match=message):
        encode_image(data_sample, [11, 30])


def test_assemble_keeps_images_and_categories_and_numbers_by_image_and_point():
    content = assembled(encode(7) + encode(4), [dropped_entry(7), dropped_entry(4)])
    assert content['images'] == IMAGES
    assert content['categories'] == CATEGORIES
    order = [(ann['id'], ann['image_id'], ann['point_id']) for ann in content['annotations']]
    assert order == [(1, 4, 2), (2, 4, 9), (3, 7, 2), (4, 7, 9)]
    assert [point['image_id'] for point in content['dropped_points']] == [4, 7]


def test_assemble_does_not_depend_on_the_order_of_delivery():
    annotations = encode(7) + encode(4)
    dropped = [dropped_entry(7), dropped_entry(4)]
    one = assembled(annotations, dropped)
    other = assembled(annotations[::-1], dropped[::-1])
    assert json.dumps(one) == json.dumps(other)
    assert 'id' not in annotations[0]


def test_assemble_nothing():
    content = assembled([])
    assert content['annotations'] == content['dropped_points'] == []
    assert content['images'] == IMAGES


@pytest.mark.parametrize(
    'changes, message',
    [
        ({'annotations': encode(5)}, 'image 5, point 2: the image is not in the list'),
        ({'categories': CATEGORIES[:1]}, 'image 4, point 9: category 30 is not in the list'),
        ({'dropped': [dropped_entry(4, 9)]}, 'image 4, point 9: expected one entry .* got two'),
        ({'annotations': encode() * 2}, 'image 4, point 2: expected one entry .* got two'),
        ({'images': IMAGES * 2}, 'expected image ids that differ'),
        (
            {'images': [{'id': 4, 'file_name': 'a.jpg', 'height': 6, 'width': 10}]},
            r'image 4 \(a.jpg\), point 2: expected a mask .* size \[6, 10\], got \[3, 5\]',
        ),
    ],
)
def test_assemble_errors(changes, message):
    with pytest.raises(ValueError, match=message):
        assembled(**changes)


def test_load_reads_what_was_written(tmp_path):
    content = assembled(dropped=[dropped_entry()])
    write_json(tmp_path / 'a.json', content)
    assert load(tmp_path / 'a.json') == content


def test_load_refuses_counts_that_mmdet_ignores(tmp_path):
    content = assembled()
    content['annotations'][0]['segmentation']['counts'] = [4, 2, 9]
    write_json(tmp_path / 'a.json', content)
    with pytest.raises(ValueError, match=r'a\.json: image 4 .*expected RLE counts as str'):
        load(tmp_path / 'a.json')


@pytest.mark.parametrize(
    ('mask', 'message'),
    [
        ([[0, 0, 4, 0, 4, 2]], "expected RLE with 'size' and 'counts', got polygons"),
        ({'size': [3, 5]}, "expected RLE with 'size' and 'counts', got {'size"),
        ({'counts': 'abc'}, "expected RLE with 'size' and 'counts', got {'counts"),
        (7, "expected RLE with 'size' and 'counts', got 7"),
        ({'size': 3, 'counts': 'abc'}, r'expected a mask of the image size \[3, 5\], got 3'),
    ],
)
def test_load_refuses_masks_of_other_kinds(tmp_path, mask, message):
    content = assembled()
    content['annotations'][1]['segmentation'] = mask
    write_json(tmp_path / 'a.json', content)
    with pytest.raises(ValueError, match=rf'a\.json: image 4 \(a\.jpg\), point 9: {message}'):
        load(tmp_path / 'a.json')


@pytest.mark.parametrize(
    ('part', 'key', 'value', 'message'),
    [
        (
            'annotations',
            'image_id',
            [1],
            r'annotations\[0\]: expected image_id to .* got \[1\]',
        ),
        ('annotations', 'category_id', {}, r'annotations\[0\]: expected category_id to be a whole'),
        ('images', 'id', '4', r"images\[0\]: expected id to be a whole number, got '4'"),
        ('dropped_points', 'point_id', True, r'dropped_points\[0\]: expected point_id .* got True'),
        ('dropped_points', 'reason', 'gone', r"expected a reason of duplicate, .* got 'gone'"),
        ('dropped_points', 'reason', [], r'expected a reason of duplicate, .* got \[\]'),
    ],
)
def test_load_refuses_values_of_other_types(tmp_path, part, key, value, message):
    content = assembled(dropped=[dropped_entry()])
    content[part][0][key] = value
    write_json(tmp_path / 'a.json', content)
    with pytest.raises(ValueError, match=rf'a\.json: .*{message}'):
        load(tmp_path / 'a.json')


@pytest.mark.parametrize('counts', ['0', 'garbage', '', 'é', 'P' * 100_000, 'f1'])
def test_load_refuses_runs_that_do_not_fill_the_image(tmp_path, counts):
    content = assembled()
    content['annotations'][1]['segmentation']['counts'] = counts
    write_json(tmp_path / 'a.json', content)
    message = r'a\.json: image 4 \(a\.jpg\), point 9: expected runs that make up the 15 pixels'
    with pytest.raises(ValueError, match=message):
        load(tmp_path / 'a.json')


@pytest.mark.parametrize(
    ('part', 'key', 'value'),
    [
        ('annotations', 'point', [True, 1]),
        ('annotations', 'point', ['1', '2']),
        ('annotations', 'point', [1e300, 2]),
        ('annotations', 'bbox', [0, 0, 1]),
        ('annotations', 'bbox', [0, 0, 1, '1']),
        ('annotations', 'area', '15'),
        ('annotations', 'score', True),
        ('annotations', 'score', None),
        ('annotations', 'click_score', 'high'),
        ('annotations', 'point_id', 2**63),
        ('dropped_points', 'point', None),
        ('images', 'height', True),
        ('images', 'width', 10**9),
        ('images', 'file_name', 7),
        ('categories', 'name', ['cat']),
    ],
)
def test_load_refuses_values_that_are_no_numbers_or_no_text(tmp_path, part, key, value):
    content = assembled(dropped=[dropped_entry()])
    content[part][0][key] = value
    write_json(tmp_path / 'a.json', content)
    with pytest.raises(ValueError, match=rf'a\.json: {part}\[0\]: expected '):
        load(tmp_path / 'a.json')


def test_load_refuses_infinity_and_other_infos(tmp_path):
    text = json.dumps({**assembled(), 'info': 'text'})
    (tmp_path / 'a.json').write_text(text)
    with pytest.raises(ValueError, match=r"a\.json: expected info to be an object, got 'text'"):
        load(tmp_path / 'a.json')
    text = json.dumps(assembled())
    (tmp_path / 'a.json').write_text(re.sub(r'"score": [^,}]+', '"score": 1e999', text, count=1))
    with pytest.raises(
        ValueError, match=r'annotations\[0\]: expected score to be a number, got inf'
    ):
        load(tmp_path / 'a.json')


@pytest.mark.parametrize('dropped', [7, {}])
def test_load_refuses_dropped_points_that_are_no_list(tmp_path, dropped):
    write_json(tmp_path / 'a.json', {**assembled(), 'dropped_points': dropped})
    with pytest.raises(ValueError, match=r"a\.json: expected a list 'dropped_points'"):
        load(tmp_path / 'a.json')


def test_load_errors_name_the_place(tmp_path):
    content = assembled()
    del content['annotations'][1]['point_id']
    write_json(tmp_path / 'a.json', content)
    with pytest.raises(ValueError, match=r"a\.json: annotations\[1\] lacks \['point_id'\]"):
        load(tmp_path / 'a.json')
    content = assembled()
    del content['images'][1]['width']
    write_json(tmp_path / 'a.json', content)
    with pytest.raises(ValueError, match=r"a\.json: images\[1\] lacks \['width'\]"):
        load(tmp_path / 'a.json')
    with pytest.raises(FileNotFoundError, match='missing.json'):
        load(tmp_path / 'missing.json')


def write_parts(tmp_path, **second):
    write_json(tmp_path / 'a.json', assembled(encode(4), [dropped_entry(4)]))
    write_json(tmp_path / 'b.json', assembled(**{'annotations': encode(7), **second}))
    return tmp_path / 'a.json', tmp_path / 'b.json'


def test_merge_of_parts_is_the_whole(tmp_path):
    parts = write_parts(tmp_path, dropped=[dropped_entry(7)])
    whole = assembled(encode(4) + encode(7), [dropped_entry(4), dropped_entry(7)])
    for paths in (parts, parts[::-1]):
        merged = merge(*paths)
        assert merged.pop('info')['merged_from'] == [path.name for path in paths]
        assert merged == {key: value for key, value in whole.items() if key != 'info'}


def test_merge_of_one(tmp_path):
    path, _ = write_parts(tmp_path)
    assert merge(path)['annotations'] == load(path)['annotations']


@pytest.mark.parametrize(
    'second, message',
    [
        ({'categories': CATEGORIES[::-1]}, 'expected the same categories in both'),
        ({'annotations': encode(4)}, 'point 2 of image 4 has an entry in both'),
        (
            {'images': [IMAGES[0], {**IMAGES[1], 'file_name': 'c.jpg'}]},
            'image id 4 is .*a.jpg.* in one and .*c.jpg.* in the other',
        ),
        (
            {'images': [IMAGES[0], {**IMAGES[1], 'id': 8}]},
            'image a.jpg has the ids 4 and 8',
        ),
    ],
)
def test_merge_clashes_name_both_files(tmp_path, second, message):
    paths = write_parts(tmp_path, **second)
    with pytest.raises(ValueError, match=rf'a\.json and .*b\.json: .*{message}'):
        merge(*paths)


def test_merge_of_nothing():
    with pytest.raises(ValueError, match='at least one file'):
        merge()


def test_category_ids_follow_the_classes():
    assert category_ids_of(CATEGORIES, None) == [11, 30]
    assert category_ids_of(CATEGORIES, ('dog', 'cat')) == [30, 11]
    with pytest.raises(ValueError, match=r"got none for \['cow'\]"):
        category_ids_of(CATEGORIES, ('cat', 'cow'))


def test_click_scores_are_written_if_there_are_some():
    annotations = encode(click_scores=torch.tensor([0.25, 1.0]))
    assert [ann['click_score'] for ann in annotations] == [0.25, 1.0]
    content = assemble(IMAGES, CATEGORIES, annotations, [], {})
    assert [ann['click_score'] for ann in content['annotations']] == [1.0, 0.25]  # by point id
    assert 'click_score' not in assemble(IMAGES, CATEGORIES, encode(), [], {})['annotations'][0]


# ------------------------------------------------------------------------------------ candidates


def with_candidates():
    masks = make_masks()
    found = PointCandidates(
        (MaskCandidate(encode_rle(masks[1]), 0.25), MaskCandidate(encode_rle(masks[0]), 0.5)), 1
    )
    return assembled(encode(candidates=(found, None)))


def test_candidates_stay_in_the_file(tmp_path):
    write_json(tmp_path / 'a.json', with_candidates())
    first, second = load(tmp_path / 'a.json')['annotations']  # sorted by point id
    assert 'candidates' not in first and 'candidate' not in first
    assert second['candidate'] == 1
    assert [each['score'] for each in second['candidates']] == [0.25, 0.5]
    np.testing.assert_array_equal(
        decode_rle(second['candidates'][0]['segmentation']), make_masks()[1]
    )
    merged = merge(tmp_path / 'a.json')
    assert merged['annotations'] == [first, second]


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(size=[9, 9]), r'point 9, candidate 0: expected a mask of the image size \[3, 5\]'),
        (dict(counts=b'x'), 'candidate 0: expected RLE counts as str'),
    ],
)
def test_broken_candidates(change, message):
    content = with_candidates()
    content['annotations'][1]['candidates'][0]['segmentation'].update(change)
    with pytest.raises(ValueError, match=message):
        check_content(content, where='a.json')
    content['annotations'][1]['candidates'][0] = 3
    with pytest.raises(ValueError, match="expected candidates with 'segmentation' and 'score'"):
        check_content(content, where='a.json')


def test_check_same_allows_more_in_the_second_file():
    first, second = assembled(), assembled(images=[*IMAGES, dict(IMAGES[0], id=9, file_name='c')])
    check_same('a', first, 'b', second)
    with pytest.raises(ValueError, match='a: expected the images of b, got none with file_name'):
        check_same('b', second, 'a', first)


def test_what_a_mask_is_made_of_is_written_if_it_is_known(tmp_path):
    annotations = encode(supervision=['mask', 'point'])
    assert [ann['supervision'] for ann in annotations] == ['mask', 'point']
    content = assembled(annotations)
    assert sorted(ann['supervision'] for ann in content['annotations']) == ['mask', 'point']
    write_json(tmp_path / 'a.json', content)
    assert load(tmp_path / 'a.json') == content
    assert all('supervision' not in ann for ann in encode())
    content['annotations'][1]['supervision'] = 'full'
    write_json(tmp_path / 'a.json', content)
    with pytest.raises(ValueError, match=r"annotations\[1\]: expected supervision .* got 'full'"):
        load(tmp_path / 'a.json')
