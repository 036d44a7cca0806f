import json

import numpy as np
import pytest
from pycocotools import mask as mask_utils

from mmp2seg.converters.coco_maps import coco_semantic_maps, draw_semantic_map
from mmp2seg.datasets.point_coco import PointCocoDataset
from mmp2seg.files.index_png import read_index_png
from mmp2seg.ops.rle import encode_rle

# COCO's ids have gaps: id 90 is the third class here, with map value 3.
CATEGORIES = [dict(id=90, name='toothbrush'), dict(id=1, name='person'), dict(id=13, name='sign')]


def box_polygon(x, y, width, height):
    return [[x, y, x + width, y, x + width, y + height, x, y + height]]


def box_mask(x, y, width, height, size=(6, 8)):
    mask = np.zeros(size, bool)
    mask[y : y + height, x : x + width] = True
    return mask


def uncompressed(mask):
    values = mask.ravel(order='F').astype(int)
    changes = np.flatnonzero(np.diff(values)) + 1
    counts = np.diff(np.concatenate([[0], changes, [values.size]])).tolist()
    return dict(size=list(mask.shape), counts=([0] if values[0] else []) + counts)


@pytest.fixture
def content():
    def annotation(number, category, segmentation, **entries):
        return dict(
            id=number, image_id=7, category_id=category, segmentation=segmentation, **entries
        )

    return dict(
        images=[
            dict(id=7, file_name='sub/a.jpg', height=6, width=8),
            dict(id=9, file_name='b.png', height=2, width=3),
        ],
        categories=CATEGORIES,
        annotations=[
            annotation(1, 90, box_polygon(1, 1, 2, 2)),
            annotation(2, 1, encode_rle(box_mask(0, 0, 4, 4))),
            annotation(3, 13, uncompressed(box_mask(0, 0, 8, 6)), iscrowd=1),
        ],
    )


@pytest.fixture
def convert(tmp_path):
    def run(content, **options):
        path = tmp_path / 'instances.json'
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return coco_semantic_maps(path, tmp_path / 'maps', **options)

    return run


def test_values_are_places_of_the_classes_and_small_objects_are_on_top(convert, content, tmp_path):
    report = convert(content)
    expected = np.full((6, 8), 255, np.uint8)
    expected[:4, :4] = 1
    expected[1:3, 1:3] = 3
    np.testing.assert_array_equal(read_index_png(tmp_path / 'maps/sub/a.png'), expected)
    empty = read_index_png(tmp_path / 'maps/b.png')
    np.testing.assert_array_equal(empty, np.zeros((2, 3), np.uint8))
    assert report.num_maps == 2
    assert report.num_objects == {'person': 1, 'sign': 0, 'toothbrush': 1}
    assert (report.num_crowds, report.num_hidden, report.refused) == (1, 0, ())


def test_the_data_set_finds_the_maps_and_has_their_classes(convert, content, tmp_path):
    convert(content)
    for annotation in content['annotations']:
        annotation['point'] = [1, 1]
    (tmp_path / 'points.json').write_text(json.dumps(content))
    dataset = PointCocoDataset(
        ann_file=str(tmp_path / 'points.json'),
        data_prefix=dict(img='images', seg_map=str(tmp_path / 'maps')),
    )
    info = dataset.get_data_info(0)
    semantic_map = read_index_png(info['seg_map_path'])
    assert info['instances'][0]['bbox_label'] + 1 == semantic_map[1, 1]
    assert read_index_png(dataset.get_data_info(1)['seg_map_path']).shape == (2, 3)


def test_chosen_classes_leave_others_to_the_background(convert, content, tmp_path):
    report = convert(content, classes=('toothbrush', 'sign'))
    expected = np.full((6, 8), 255, np.uint8)
    expected[1:3, 1:3] = 1
    np.testing.assert_array_equal(read_index_png(tmp_path / 'maps/sub/a.png'), expected)
    assert report.num_objects == {'toothbrush': 1, 'sign': 0}
    with pytest.raises(ValueError, match=r"instances\.json: expected a category named 'dog'"):
        convert(content, classes=('dog',), overwrite=True)


def test_equal_objects_the_later_on_top_and_hidden_ones_are_counted():
    rles = [encode_rle(box_mask(*box)) for box in [(0, 0, 2, 2), (0, 0, 2, 2), (4, 0, 1, 1)]]
    semantic_map, hidden = draw_semantic_map(rles, [5, 7, 254], crowds=[], size=(6, 8))
    expected = 7 * box_mask(0, 0, 2, 2) + 254 * box_mask(4, 0, 1, 1)
    np.testing.assert_array_equal(semantic_map, expected)
    assert semantic_map.dtype == np.uint8
    assert hidden == 1
    semantic_map, hidden = draw_semantic_map([], [], crowds=rles[:1], size=(6, 8))
    np.testing.assert_array_equal(semantic_map, 255 * box_mask(0, 0, 2, 2))
    assert hidden == 0
    empty = encode_rle(np.zeros((6, 8), bool))
    semantic_map, hidden = draw_semantic_map([empty], [5], crowds=[empty], size=(6, 8))
    assert (semantic_map.any(), hidden) == (False, 1)


def test_random_scenes_against_the_smallest_cover_of_each_pixel():
    rng = np.random.default_rng(1)
    for _ in range(20):
        masks = np.stack([rng.random((6, 8)) < rng.uniform(0, 0.7) for _ in range(5)])
        values, crowd = rng.integers(1, 255, 5), rng.random((6, 8)) < 0.3
        areas = [int(mask.sum()) for mask in masks]
        expected = np.where(crowd, 255, 0)
        for row, col in np.ndindex(6, 8):
            covers = [(areas[i], -i) for i in range(5) if masks[i, row, col]]
            if covers:
                expected[row, col] = values[-min(covers)[1]]
        rles = [encode_rle(mask) for mask in masks]
        result, _ = draw_semantic_map(rles, values, crowds=[encode_rle(crowd)], size=(6, 8))
        np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize(
    ('segmentation', 'message'),
    [
        (None, 'expected a segmentation, got segmentation None'),
        ([], 'expected a polygon'),
        ([[1, 2, 3, 4]], 'expected a polygon with at least three corners'),
        (dict(size=[6, 9], counts='0'), r'expected a mask of the image size \[6, 8\]'),
        (dict(size=[6, 8], counts='0'), 'expected runs that make up the 48 pixels'),
        ([[1, 2, 1e300, 4, 5, 6]], 'expected polygons of finite numbers'),
        (dict(counts='0'), 'expected polygons or an RLE'),
        ([['a', 1, 2, 3, 4, 5]], 'segmentation'),
    ],
)
def test_annotations_without_mask_stop_or_are_reported(
    convert, content, tmp_path, segmentation, message
):
    content['annotations'][0]['segmentation'] = segmentation
    advice = r'.* \(--skip-refused leaves it out\)$'
    with pytest.raises(ValueError, match=rf'instances\.json: annotation 1: .*{message}{advice}'):
        convert(content)
    assert not (tmp_path / 'maps').exists()
    report = convert(content, skip_refused=True)
    assert len(report.refused) == 1
    assert 'annotation 1: ' in report.refused[0]
    assert report.num_objects == {'person': 1, 'sign': 0, 'toothbrush': 0}


@pytest.mark.parametrize(
    ('images', 'message'),
    [
        (dict(file_name='/a.jpg'), r"images\[0\]: expected a file in the image folder, got '/a"),
        (dict(file_name='../a.jpg'), r'images\[0\]: expected a file in the image folder'),
        (dict(file_name=''), r'images\[0\]: expected a file in the image folder'),
        (
            dict(file_name='b.jpg'),
            r'images\[1\]: its map b\.png duplicates the map of .*images\[0\]',
        ),
        (dict(height=0), r'images\[0\]: expected height to be an integer > 0, got 0'),
        (dict(width='8'), r"images\[0\]: expected width to be an integer > 0, got '8'"),
    ],
)
def test_broken_images_are_named(convert, content, tmp_path, images, message):
    content['images'][0].update(images)
    with pytest.raises(ValueError, match=rf'instances\.json: {message}'):
        convert(content)
    assert not (tmp_path / 'maps').exists()


def test_broken_files_and_existing_folders(convert, content, tmp_path):
    with pytest.raises(ValueError, match=r'instances\.json: invalid json, line 1'):
        convert('{"images": ')
    with pytest.raises(ValueError, match=r'instances\.json: expected 1\.\.254 classes, got 0'):
        convert({**content, 'categories': [], 'annotations': []})
    convert(content)
    with pytest.raises(FileExistsError, match='maps: the folder is not empty'):
        convert(content)
    content['annotations'][1]['image_id'] = 8
    with pytest.raises(ValueError, match='annotation 2: unknown image_id 8'):
        convert(content, overwrite=True)
    assert (tmp_path / 'maps/sub/a.png').is_file()


def test_the_helper_of_these_tests_writes_uncompressed_rle():
    mask = box_mask(0, 1, 3, 2)
    rle = mask_utils.frPyObjects(uncompressed(mask), 6, 8)
    np.testing.assert_array_equal(mask_utils.decode(rle), mask)


def test_nothing_at_all_is_an_error(tmp_path):
    path, out = tmp_path / 'i.json', tmp_path / 'out'
    images = [dict(id=7, file_name='a.jpg', height=6, width=8)]
    path.write_text(json.dumps(dict(images=images, categories=CATEGORIES, annotations=[])))
    with pytest.raises(ValueError, match=r'i\.json: expected an object, got none in 1 images'):
        coco_semantic_maps(path, out)
    assert not out.exists()
    assert coco_semantic_maps(path, out, allow_empty=True).num_maps == 1


def test_an_empty_parent_category_has_no_value(tmp_path):
    categories = [
        dict(id=0, name='fruits', supercategory='none'),
        dict(id=1, name='apple', supercategory='fruits'),
    ]
    box = dict(id=1, image_id=7, category_id=1, segmentation=box_polygon(1, 1, 2, 2))
    images = [dict(id=7, file_name='a.jpg', height=6, width=8)]
    path = tmp_path / 'i.json'
    path.write_text(json.dumps(dict(images=images, categories=categories, annotations=[box])))
    report = coco_semantic_maps(path, tmp_path / 'out')
    assert report.num_objects == {'apple': 1} and "'fruits' is no class" in report.notes[0]
    assert read_index_png(tmp_path / 'out' / 'a.png').max() == 1
