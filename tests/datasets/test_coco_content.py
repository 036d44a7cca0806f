import pytest

from mmp2seg.datasets.coco_content import (
    annotation_place,
    category_labels,
    check_coco_content,
    check_image_files,
    check_image_sizes,
    check_segmentations,
    ordered_class_names,
    split_categories,
)

# ids with a gap, like COCO's categories, and out of order
CATEGORIES = [dict(id=90, name='toothbrush'), dict(id=1, name='person'), dict(id=13, name='sign')]


def make_content(**changes):
    content = dict(
        images=[dict(id=5, file_name='a.jpg'), dict(id='x', file_name='b.jpg')],
        categories=CATEGORIES,
        annotations=[
            dict(id=1, image_id=5, category_id=90),
            dict(id=2, image_id='x', category_id=1),
        ],
    )
    return {**content, **changes}


def test_labels_are_places_in_the_order_of_the_ids():
    assert ordered_class_names(CATEGORIES) == ['person', 'sign', 'toothbrush']
    assert category_labels('a.json', CATEGORIES) == {1: 0, 13: 1, 90: 2}


def test_labels_of_chosen_classes_are_their_places():
    chosen = category_labels('a.json', CATEGORIES, classes=('toothbrush', 'person'))
    assert chosen == {90: 0, 1: 1}
    with pytest.raises(ValueError, match="a.json: expected a category named 'dog', got"):
        category_labels('a.json', CATEGORIES, classes=('dog',))


def test_sound_content_passes():
    check_coco_content('a.json', make_content(), annotation_keys=('id',))
    check_coco_content('a.json', dict(images=[], categories=[], annotations=[]))
    without_ids = make_content(annotations=[dict(image_id=5, category_id=1)] * 2)
    check_coco_content('a.json', without_ids)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(images=[dict(id=5)]), r"images\[0\] lacks \['file_name'\]"),
        (dict(images=[dict(id=5, file_name=7)]), r'images\[0\]: expected file_name to be str, got'),
        (dict(images=[dict(id=[5], file_name='a')]), r'images\[0\]: expected id to be int or str'),
        (
            dict(images=[dict(id=5, file_name='a'), dict(id=5, file_name='b')]),
            r'images\[1\]: id 5 duplicates images\[0\]',
        ),
        (
            dict(images=[dict(id=5, file_name='a'), dict(id=6, file_name='a')]),
            r"images\[1\]: file_name 'a' duplicates images\[0\]",
        ),
        (
            dict(categories=[*CATEGORIES, dict(id=13, name='stop')]),
            r'categories\[3\]: id 13 duplicates categories\[2\]',
        ),
        (
            dict(categories=[*CATEGORIES, dict(id=14, name='sign')]),
            r"categories\[3\]: name 'sign' duplicates categories\[2\]",
        ),
        (dict(annotations=[dict(id=1, image_id=5)]), r"annotations\[0\] lacks \['category_id'\]"),
        (dict(annotations=[dict(image_id=5, category_id=1)]), r"annotations\[0\] lacks \['id'\]"),
        (
            dict(annotations=[dict(id=1, image_id=5, category_id=1)] * 2),
            r'annotations\[1\]: id 1 duplicates annotations\[0\]',
        ),
        (
            dict(annotations=[dict(id=1, image_id=6, category_id=1)]),
            'annotation 1: unknown image_id 6',
        ),
        (
            dict(annotations=[dict(id=1, image_id=5, category_id=[1])]),
            r'annotation 1: unknown category_id \[1\]',
        ),
    ],
)
def test_broken_content_is_named(changes, message):
    with pytest.raises(ValueError, match=f'^a.json: {message}'):
        check_coco_content('a.json', make_content(**changes), annotation_keys=('id',))


def test_further_keys_are_required():
    with pytest.raises(ValueError, match=r"images\[0\] lacks \['height'\]"):
        check_coco_content('a.json', make_content(), image_keys=('height',))


@pytest.mark.parametrize(('key', 'value'), [('height', 0), ('width', '8'), ('width', 2.5)])
def test_image_sizes(key, value):
    images = [dict(height=4, width=6), dict(height=5, width=7)]
    check_image_sizes('a.json', images)
    images[1][key] = value
    message = rf'a.json: images\[1\]: expected {key} to be an integer > 0, got {value!r}'
    with pytest.raises(ValueError, match=message):
        check_image_sizes('a.json', images)


def test_places_of_annotations():
    assert annotation_place('a.json', 4, dict(id=0)) == 'a.json: annotation 0'
    assert annotation_place('a.json', 4, {}) == 'a.json: annotations[4]'


def _with_clicks(*clicks, **changes):
    entry = dict(id=5, file_name='a.jpg', background_points=[*clicks])
    return make_content(images=[entry, dict(id='x', file_name='b.jpg')], **changes)


def test_background_points():
    named = [*CATEGORIES, dict(id=2, name='background')]
    check_coco_content('a.json', _with_clicks([1, 2.5], [-3, 0]))
    check_coco_content('a.json', _with_clicks(categories=named))
    check_coco_content('a.json', make_content(categories=named))
    message = r'images\[0\]: background_points\[1\]: expected a point of two finite numbers .*got'
    with pytest.raises(ValueError, match=f'^a.json: {message}'):
        check_coco_content('a.json', _with_clicks([1, 2], [1]))
    message = "expected no background_points in a file with a category 'background', got 2"
    with pytest.raises(ValueError, match=rf'^a.json: images\[0\]: {message}'):
        check_coco_content('a.json', _with_clicks([1, 2], [3, 4], categories=named))


def _masks(**changes):
    image = dict(id=1, file_name='a.png', height=2, width=3)
    whole = dict(size=[2, 3], counts=[0, 6])
    annotation = dict(id=5, image_id=1, segmentation=whole)
    return [image], [annotation, {**annotation, 'id': 6, **changes}, dict(id=7, image_id=1)]


@pytest.mark.parametrize(
    'segmentation', [[[0, 0, 1, 0, 1, 1]], [[0, 0]], [], None, dict(size=[2, 3], counts='06')]
)
def test_masks_that_can_be_decoded_and_those_that_mmdet_ignores_pass(segmentation):
    check_segmentations('a.json', *_masks(segmentation=segmentation))


@pytest.mark.parametrize(
    ('segmentation', 'message'),
    [
        (dict(size=[2, 3], counts='0'), 'expected runs that make up the 6 pixels'),
        (
            dict(size=[3, 2], counts='06'),
            r'expected a mask of .* \[2, 3\], got \[3, 2\]',
        ),
        ([[0, 0, 1e300, 0, 1, 1]], 'expected polygons of finite numbers'),
        ('mask.png', 'expected polygons or an RLE'),
    ],
)
def test_masks_that_cannot_be_decoded_are_named(segmentation, message):
    with pytest.raises(ValueError, match=rf'^a\.json: image 1 \(a\.png\): annotation 6: {message}'):
        check_segmentations('a.json', *_masks(segmentation=segmentation))


@pytest.mark.parametrize('side', [True, '4', 4.0, 0, None, 10**10])
def test_sizes_are_checked_with_the_content(side):
    image = dict(id=1, file_name='a.png', height=4, width=side)
    content = dict(images=[image], categories=[], annotations=[])
    check_coco_content('a.json', content)
    with pytest.raises(ValueError, match=r'a\.json: images\[0\]: expected (width|at most)'):
        check_coco_content('a.json', content, image_keys=('height', 'width'))


@pytest.mark.parametrize(
    ('part', 'entries', 'message'),
    [
        ('images', [dict(id=True, file_name='a')], 'expected id to be int or str, got True'),
        ('images', [dict(id=2**63, file_name='a')], 'expected id to be int or str, got 922'),
        ('images', [dict(id=1, file_name='a\0')], r"expected the name of a file, got 'a\\x00'"),
        ('images', [dict(id=1, file_name=['a'])], r"expected file_name to be str, got \['a'\]"),
        (
            'categories',
            [dict(id='a', name='cat'), dict(id=1, name='dog')],
            r"expected an id like 'a' of categories\[0\], got 1",
        ),
    ],
)
def test_values_of_another_kind_are_named(part, entries, message):
    content = {**dict(images=[], categories=[], annotations=[]), part: entries}
    with pytest.raises(ValueError, match=rf'^a\.json: {part}\[{len(entries) - 1}\]: {message}'):
        check_coco_content('a.json', content)


def test_ids_that_have_to_be_integers():
    content = dict(images=[dict(id='a', file_name='a')], categories=[], annotations=[])
    check_coco_content('a.json', content)
    with pytest.raises(ValueError, match=r"images\[0\]: expected id to be int, got 'a'"):
        check_coco_content('a.json', content, integer_ids=True)


def test_images_without_a_stated_size_are_not_looked_at(tmp_path):
    check_image_files('a.json', [dict(file_name='gone.png')], tmp_path)
    check_image_files('a.json', [dict(file_name='a.hdr', height=1, width=1)], tmp_path)


def roboflow(**more):
    """Roboflow's categories: the project, which no annotation has, is the parent of the others."""
    categories = [
        dict(id=0, name='fruits', supercategory='none'),
        dict(id=1, name='apple', supercategory='fruits'),
        dict(id=2, name='pear', supercategory='fruits'),
    ]
    return dict(categories=categories, annotations=[dict(category_id=1)]) | more


def test_an_empty_parent_is_no_class():
    kept, lines = split_categories(roboflow())
    assert [category['name'] for category in kept] == ['apple', 'pear']
    assert lines == [
        "category 'fruits' is no class: it has no annotation and is the supercategory of others"
    ]


def test_other_categories_are_kept():
    used = roboflow(annotations=[dict(category_id=0)])
    assert len(split_categories(used)[0]) == 3
    for odd in ([], {}, None):  # what is no id is for another check to say
        assert len(split_categories(roboflow(annotations=[dict(category_id=odd)]))[0]) == 2
    own = [dict(id=1, name='person', supercategory='person'), dict(id=2, name='dog')]
    assert split_categories(dict(categories=own, annotations=[])) == (own, [])
