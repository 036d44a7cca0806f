import json

import numpy as np
import pytest
from pycocotools import mask as mask_utils

from mmp2seg.converters.mask_files import open_masks, read_point_images
from mmp2seg.ops.rle import decode_rle, encode_rle

MASK = np.zeros((4, 6), bool)
MASK[1:3, 2:5] = True
POLYGON = [[2, 1, 5, 1, 5, 3, 2, 3]]


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.fixture
def points_path(tmp_path):
    images = [
        dict(id=7, file_name='a.jpg', height=4, width=6),
        dict(id=9, file_name='sub/b.jpg', height=4, width=6),
    ]
    # category ids out of order: the lowest id has label 0
    categories = [dict(id=5, name='dog'), dict(id=2, name='cat')]
    annotations = [
        dict(id=31, image_id=9, category_id=5, point=[1.5, 2.5]),
        dict(id=32, image_id=9, category_id=2, point=[3.5, 2.0]),
        dict(id=33, image_id=9, category_id=2, point=[0, 0], iscrowd=1),
        dict(id=34, image_id=7, category_id=2, point=[4, 1]),
    ]
    content = dict(images=images, categories=categories, annotations=annotations)
    return write(tmp_path / 'points.json', content)


def masks_of(path, points_path, name='a.jpg'):
    images = read_point_images(points_path)
    source = open_masks(path, images, points_path=points_path)
    return source.masks_of(next(image for image in images if image.file_name == name))


def annotation(**entries):
    return dict(image_id=7, segmentation=encode_rle(MASK), **entries)


def test_images_with_ids_of_points_and_labels(points_path):
    a, b = read_point_images(points_path)
    assert (a.id, a.file_name, a.height, a.width) == (7, 'a.jpg', 4, 6)
    assert b.point_ids == {31: 0, 32: 1} and b.labels.tolist() == [1, 0]
    assert b.points_xy.tolist() == [[1.5, 2.5], [3.5, 2.0]]
    assert b.places[0] == f'{points_path}: annotation 31: dog of sub/b.jpg'
    assert a.labels.dtype == np.int64


@pytest.mark.parametrize(
    'segmentation',
    [
        encode_rle(MASK),
        POLYGON,
        dict(size=[4, 6], counts=[9, 2, 2, 2, 2, 2, 5]),  # SAM's uncompressed_rle
    ],
)
def test_every_kind_of_segmentation(points_path, tmp_path, segmentation):
    path = write(tmp_path / 'm.json', [dict(image_id=7, segmentation=segmentation)])
    (mask,) = masks_of(path, points_path)
    np.testing.assert_array_equal(decode_rle(mask.rle), MASK)
    assert (mask.score, mask.point, mask.label) == (1.0, None, None)


@pytest.mark.parametrize(
    ('entries', 'score'),
    [
        (dict(predicted_iou=0.7, stability_score=0.9), 0.7),
        (dict(stability_score=0.9), 0.9),
        (dict(predicted_iou=0.7, score=1), 1.0),
    ],
)
def test_score(points_path, tmp_path, entries, score):
    path = write(tmp_path / 'm.json', [annotation(**entries)])
    assert masks_of(path, points_path)[0].score == score


def test_list_with_the_ids_of_the_point_json(points_path, tmp_path):
    path = write(
        tmp_path / 'm.json',
        [
            dict(image_id=9, segmentation=encode_rle(MASK), point_id=32),
            dict(image_id=9, segmentation=encode_rle(MASK), category_id=5),
            dict(image_id=8, segmentation=[]),  # another image: ignored
        ],
    )
    masks = masks_of(path, points_path, 'sub/b.jpg')
    assert [(mask.point, mask.label) for mask in masks] == [(1, None), (None, 1)]
    assert masks_of(path, points_path) == []
    source = open_masks(path, read_point_images(points_path), points_path=points_path)
    assert source.num_other == 1


def test_coco_file_with_ids_of_its_own(points_path, tmp_path):
    content = dict(
        images=[dict(id=1, file_name='sub/b.jpg'), dict(id=7, file_name='z.jpg')],
        categories=[dict(id=2, name='dog'), dict(id=4, name='bird')],
        annotations=[
            dict(image_id=1, segmentation=encode_rle(MASK), category_id=2),
            dict(image_id=1, segmentation=encode_rle(MASK), category_id=4),
            annotation(),
        ],
    )
    path = write(tmp_path / 'm.json', content)
    masks = masks_of(path, points_path, 'sub/b.jpg')
    assert [mask.label for mask in masks] == [1, -1]
    assert masks_of(path, points_path) == []


def test_folder_of_sams_files(points_path, tmp_path):
    sam = dict(
        segmentation=encode_rle(MASK),
        area=6,
        bbox=[2, 1, 3, 2],
        predicted_iou=0.9,
        point_coords=[[3.0, 2.0]],
        stability_score=0.95,
        crop_box=[0, 0, 6, 4],
    )
    folder = tmp_path / 'sam'
    write(folder / 'sub' / 'b.json', [sam, sam])  # scripts/amg.py
    assert len(masks_of(folder, points_path, 'sub/b.jpg')) == 2
    assert masks_of(folder, points_path) == []
    sa1b = dict(image=dict(image_id=1, width=6, height=4, file_name='a.jpg'))
    write(folder / 'a.json', {**sa1b, 'annotations': [{**sam, 'id': 3}]})
    assert [mask.score for mask in masks_of(folder, points_path)] == [0.9]


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('{"images":', r'm\.json: invalid json, line 1 column 11'),
        ('3', r'm\.json: expected an object or a list, got 3'),
        (dict(annotations=[]), r"m\.json: expected a list 'images', got None"),
        (dict(images=[], annotations=[], categories=3), "a list 'categories', got 3"),
        ([dict(segmentation=POLYGON)], r"m\.json: \[0\] lacks \['image_id'\]"),
        ([annotation(), 5], r'm\.json: \[1\]: expected an object, got 5'),
        ([dict(image_id=[1])], r'm\.json: \[0\]: expected an image_id, got \[1\]'),
        ([dict(image_id=1, segmentation=POLYGON)], 'expected masks of the images of .*points.json'),
        ([dict(image_id=7)], r"m\.json: \[0\]: expected an object with 'segmentation'"),
        ([annotation(point_id=31)], r'm\.json: \[0\]: unknown point_id 31'),  # of another image
        ([annotation(category_id=1)], r'm\.json: \[0\]: unknown category_id 1'),
        ([annotation(category_id='cat')], r"unknown category_id 'cat'"),
        ([annotation(score='high')], r"m\.json: \[0\]: expected a finite score, got 'high'"),
        ([annotation(score=10**400)], r'm\.json: \[0\]: expected a finite score, got 1000'),
        ([annotation(score=True)], 'expected a finite score, got True'),
        ('[{"image_id": 7, "segmentation": [], "score": 1e999}]', 'a finite score, got inf'),
        ('[{"image_id": 7, "segmentation": [], "score": NaN}]', 'line 1 column 47: NaN is not'),
    ],
)
def test_broken_files_are_named_with_the_place(points_path, tmp_path, content, message):
    path = write(tmp_path / 'm.json', content)
    with pytest.raises(ValueError, match=message):
        masks_of(path, points_path)


@pytest.mark.parametrize(
    ('segmentation', 'message'),
    [
        (encode_rle(MASK.T), r'expected a mask of the image size \[4, 6\], got \[6, 4\]'),
        ([[1, 2, 3, '4', 5, 6]], 'expected polygons of finite numbers'),
        ([[1, 2, 3]], 'a polygon with at least three corners, got none'),
        (dict(size=[4, 6], counts='hello'), 'expected runs that make up the 24 pixels'),
        (dict(size=[4, 6], counts=['a']), 'expected '),
        (dict(size=[4, 6], counts=[3, -1]), 'expected '),
        (dict(size=[4, 6]), 'expected '),
        ('mask.png', 'expected '),
        (3, 'expected '),
    ],
)
def test_broken_masks_are_named_with_the_place(points_path, tmp_path, segmentation, message):
    content = dict(
        images=[dict(id=1, file_name='a.jpg')],
        annotations=[dict(image_id=1, segmentation=segmentation)],
    )
    path = write(tmp_path / 'm.json', content)
    with pytest.raises(ValueError, match=rf'm\.json: annotations\[0\]: .*{message}'):
        masks_of(path, points_path)


def test_runs_that_end_too_soon_never_become_a_mask(points_path, tmp_path, monkeypatch):
    listed = dict(size=[4, 6], counts=[3, 5])
    compressed = mask_utils.frPyObjects(listed, 4, 6)
    compressed['counts'] = compressed['counts'].decode()
    # pycocotools does not initialize the pixels after the last run
    decode = mask_utils.decode
    monkeypatch.setattr(mask_utils, 'decode', lambda rle: np.ones_like(decode(rle)))
    for rle in (listed, compressed):
        path = write(tmp_path / 'm.json', [dict(image_id=7, segmentation=rle)])
        with pytest.raises(ValueError, match=r'\[0\]: expected runs that make up the 24 pixels'):
            masks_of(path, points_path)


def test_missing_files(points_path, tmp_path):
    with pytest.raises(FileNotFoundError, match='gone.json: no such file or folder'):
        masks_of(tmp_path / 'gone.json', points_path)
    (tmp_path / 'empty').mkdir()
    with pytest.raises(ValueError, match=r'empty: expected a file per image, such as a\.json'):
        masks_of(tmp_path / 'empty', points_path)
    content = json.loads(points_path.read_text())
    del content['annotations'][1]['id']
    with pytest.raises(ValueError, match=r'annotations\[1\]: expected an annotation with an id'):
        masks_of(tmp_path / 'empty', write(points_path, content))


def test_a_point_on_the_edge_and_an_empty_parent_category(points_path):
    content = json.loads(points_path.read_text())
    content['annotations'][3]['point'] = [6, 4]
    content['categories'] = [
        dict(id=1, name='animals'),
        *(dict(category, supercategory='animals') for category in content['categories']),
    ]
    points_path.write_text(json.dumps(content))
    images = read_point_images(points_path)
    assert np.floor(images[0].points_xy).tolist() == [[5, 3]]
    masks = [dict(image_id=7, category_id=2, segmentation=POLYGON)]
    path = write(points_path.parent / 'm.json', masks)
    (mask,) = open_masks(path, images, points_path=points_path).masks_of(images[0])
    assert mask.label == images[0].labels[0] == 0


@pytest.mark.parametrize('number', [[], {}, 1.5, None])
def test_ids_of_points_are_numbers_or_words_of_their_own(points_path, tmp_path, number):
    content = json.loads(points_path.read_text())
    content['annotations'][1]['id'] = content['annotations'][0]['id'] if number is None else number
    (tmp_path / 'masks').mkdir()
    with pytest.raises(ValueError, match=r'points\.json: .*: expected an id of its own'):
        masks_of(tmp_path / 'masks', write(points_path, content))


def test_the_files_of_masks_stay_in_the_folder(points_path, tmp_path):
    content = json.loads(points_path.read_text())
    content['images'][0]['file_name'] = '../a.png'
    (tmp_path / 'masks').mkdir()
    with pytest.raises(
        ValueError, match=r"images\[0\]: expected a file in the image folder, got '\.\."
    ):
        masks_of(tmp_path / 'masks', write(points_path, content))
