import json

import pytest

from mmp2seg.datasets import PointCocoDataset
from mmp2seg.ops.rle import decode_rle

CONTENT = dict(
    images=[
        dict(id=7, file_name='sub/a.jpg', width=20, height=10),
        dict(id=9, file_name='b.jpg', width=20, height=10),
    ],
    categories=[dict(id=3, name='dog'), dict(id=1, name='cat')],
    annotations=[
        dict(
            id=11,
            image_id=7,
            category_id=3,
            point=[4.5, 2.0],
            bbox=[0, 0, 4, 6],
            keypoints=[0, 0, 0, 5, 6, 2],
            segmentation='ignored',
        ),
        dict(
            id=12, image_id=7, category_id=1, point=[1, 1], bbox=[1, 1, 2, 2], keypoints=[3, 4, 1]
        ),
        dict(id=13, image_id=7, category_id=1, point=[1, 1], iscrowd=1),
    ],
)


@pytest.fixture
def build(tmp_path):
    def _build(content=CONTENT, **options):
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        (tmp_path / 'points.json').write_bytes(data)
        return PointCocoDataset(
            ann_file=str(tmp_path / 'points.json'),
            data_prefix=dict(img='images', seg_map='maps'),
            **options,
        )

    return _build


def _with_annotation(**changes):
    return {**CONTENT, 'annotations': [{**CONTENT['annotations'][0], **changes}]}


def test_classes_come_from_the_file_by_category_id(build):
    dataset = build()
    assert dataset.metainfo['classes'] == ('cat', 'dog')
    info = dataset.get_data_info(0)
    assert info['instances'] == [
        dict(point=[4.5, 2.0], bbox_label=1, point_id=11),
        dict(point=[1.0, 1.0], bbox_label=0, point_id=12),
    ]
    assert (info['img_id'], info['file_name']) == (7, 'sub/a.jpg')
    assert info['seg_map_path'] == 'maps/sub/a.png'
    assert dataset.get_data_info(1)['instances'] == []


def test_chosen_classes_leave_the_others_out(build):
    dataset = build(metainfo=dict(classes=('dog',)))
    assert dataset.get_data_info(0)['instances'] == [
        dict(point=[4.5, 2.0], bbox_label=0, point_id=11)
    ]


@pytest.mark.parametrize(
    ('source', 'expected'), [('bbox', [[2, 3], [2, 2]]), ('keypoints', [[5.5, 6.5], [3.5, 4.5]])]
)
def test_other_sources_of_points(build, source, expected):
    instances = build(point_source=source).get_data_info(0)['instances']
    assert [instance['point'] for instance in instances] == expected


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (b'{"images": "\xe9"}', r'points\.json: expected text in UTF-8, .* in line 1'),
        (b'{"images": ', r'points\.json: invalid json, line 1 column'),
        (b'[]', r'points\.json: expected a json object, got a list'),
        (dict(images=[], annotations=[]), "expected a list 'categories'"),
        (_with_annotation(point=None), 'annotation 11: expected a point of two finite numbers'),
        (_with_annotation(point=[1]), 'annotation 11: expected a point of two finite numbers'),
        (_with_annotation(image_id=8), 'annotation 11: unknown image_id 8'),
        (_with_annotation(category_id=2), 'annotation 11: unknown category_id 2'),
        ({**CONTENT, 'images': [], 'annotations': []}, 'expected at least one image'),
        (_with_annotation(id=None), r'annotations\[0\]: expected id to be int, got None'),
        (_with_annotation(id='a'), r"annotations\[0\]: expected id to be int, got 'a'"),
        (_with_annotation(id=True), r'annotations\[0\]: expected id to be int, got True'),
        (_with_annotation(point=['1', '2']), 'annotation 11: expected a point of two finite'),
        (_with_annotation(point=[True, 1]), 'annotation 11: expected a point of two finite'),
        (_with_annotation(point=[1e300, 1]), 'annotation 11: expected a point within 1000000'),
        (
            {**CONTENT, 'annotations': CONTENT['annotations'][:1] * 2},
            r'annotations\[1\]: id 11 duplicates annotations\[0\]',
        ),
        (
            {**CONTENT, 'categories': [dict(id=3, name='dog'), dict(id=1, name='dog')]},
            r"categories\[1\]: name 'dog' duplicates categories\[0\]",
        ),
    ],
)
def test_broken_files_are_named(build, content, message):
    with pytest.raises(ValueError, match=message):
        build(content)


def test_unknown_class_and_source_are_named(build):
    with pytest.raises(ValueError, match=r"expected a category named 'bird', got \['cat', 'dog'\]"):
        build(metainfo=dict(classes=('cat', 'bird')))
    with pytest.raises(ValueError, match="got 'mask'"):
        build(point_source='mask')
    with pytest.raises(ValueError, match="annotation 12: expected 'keypoints' with"):
        build(
            {**CONTENT, 'annotations': [{**CONTENT['annotations'][1], 'keypoints': [1, 1, 0]}]},
            point_source='keypoints',
        )


def test_background_clicks_are_a_field_of_the_image(build):
    images = [dict(CONTENT['images'][0], background_points=[[3, 4.5]]), CONTENT['images'][1]]
    dataset = build({**CONTENT, 'images': images})
    entries = [dataset.get_data_info(index) for index in range(2)]
    assert [entry['background_points'] for entry in entries] == [[[3.0, 4.5]], []]
    assert len(entries[0]['instances']) == 2
    images[1] = dict(CONTENT['images'][1], background_points=[[3]])
    with pytest.raises(ValueError, match=r'images.1.: background_points.0.: expected a point'):
        build({**CONTENT, 'images': images})


def test_an_empty_parent_category_is_no_class(tmp_path):
    path = tmp_path / 'points.json'
    categories = [
        dict(id=0, name='fruits', supercategory='none'),
        dict(id=1, name='apple', supercategory='fruits'),
    ]
    annotation = dict(id=1, image_id=1, category_id=1, point=[1, 2])
    images = [dict(id=1, file_name='a.png', height=8, width=12)]
    path.write_text(
        json.dumps(dict(images=images, categories=categories, annotations=[annotation]))
    )
    dataset = PointCocoDataset(ann_file=str(path), serialize_data=False)
    assert dataset.metainfo['classes'] == ('apple',)
    named = dict(classes=('fruits', 'apple'))
    dataset = PointCocoDataset(ann_file=str(path), metainfo=named, serialize_data=False)
    assert dataset.get_data_info(0)['instances'][0]['bbox_label'] == 1


def test_classes_are_no_str(tmp_path):
    with pytest.raises(ValueError, match=r"got the str 'cell': .*\('cell',\)"):
        PointCocoDataset(ann_file='none.json', metainfo=dict(classes='cell'))


SQUARE = [[2, 1, 6, 1, 6, 4, 2, 4]]


def test_true_masks_and_boxes_are_read_if_their_flags_say_so(build):
    """The same content without the flags is points alone: masks are truth, not supervision."""
    first, second, crowd = CONTENT['annotations']
    first = dict(first, segmentation=SQUARE)
    content = {**CONTENT, 'annotations': [first, second, crowd]}
    expected = [
        dict(point=[4.5, 2.0], bbox_label=1, point_id=11),
        dict(point=[1.0, 1.0], bbox_label=0, point_id=12),
    ]
    assert build(content).get_data_info(0)['instances'] == expected
    flagged = [dict(first, supervision='mask'), dict(second, supervision='box'), crowd]
    masked, boxed = build({**content, 'annotations': flagged}).get_data_info(0)['instances']
    assert masked.pop('supervision') == 'mask' and boxed.pop('supervision') == 'box'
    mask, box = decode_rle(masked.pop('mask')), decode_rle(boxed.pop('mask'))
    assert mask.shape == box.shape == (10, 20)
    assert mask[1:4, 2:6].all() and mask.sum() == 12 and box[1:3, 1:3].all() and box.sum() == 4
    assert [masked, boxed] == expected


def test_an_image_whose_objects_all_have_masks(build):
    annotation = dict(CONTENT['annotations'][0], segmentation=SQUARE, supervision='mask')
    images = [dict(CONTENT['images'][0], supervision='mask'), CONTENT['images'][1]]
    content = {**CONTENT, 'images': images, 'annotations': [annotation]}
    dataset = build(content)
    assert [dataset.get_data_info(n)['complete'] for n in range(2)] == [True, False]
    content['annotations'] = [annotation, CONTENT['annotations'][1]]
    with pytest.raises(ValueError, match=r'points.json: image 7: .*have masks, got 1 without'):
        build(content)


def test_a_flag_without_its_mask_names_the_annotation(build):
    content = _with_annotation(supervision='mask', segmentation=[])
    with pytest.raises(ValueError, match=r"points.json: annotation 11: supervision 'mask'"):
        build(content)
