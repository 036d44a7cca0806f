import json

import pytest

from mmp2seg.converters.point_formats import coco_keypoints
from mmp2seg.converters.point_json import assemble_point_json
from mmp2seg.datasets import PointCocoDataset

IMAGE = dict(id=7, file_name='a.jpg', height=40, width=60)
PERSON = dict(id=3, name='person')


@pytest.fixture
def coco(tmp_path):
    """Writes a json with an annotation per list of keypoints; returns its path."""

    def make(*keypoints, **changes):
        content = dict(
            images=[IMAGE],
            categories=[PERSON],
            annotations=[
                dict(id=i, image_id=7, category_id=3, iscrowd=0, keypoints=values)
                for i, values in enumerate(keypoints)
            ],
        )
        path = tmp_path / 'keypoints.json'
        path.write_text(json.dumps({**content, **changes}))
        return path

    return make


def test_round_trip(tmp_path, images, image_dir, plain):
    path = tmp_path / 'k.json'
    coco_keypoints.write(images, path, pixel_indices=False)
    again = coco_keypoints.read(path, image_dir=image_dir, pixel_indices=False)
    assert plain(again) == plain(images)
    coco_keypoints.write(images, path)
    again = coco_keypoints.read(path)
    for image, expected in zip(again, images, strict=True):
        for point, wanted in zip(image.points, expected.points, strict=True):
            assert (point.x, point.y) == pytest.approx((wanted.x, wanted.y), abs=1e-12)
            assert point.label == wanted.label


def test_agrees_with_the_dataset(tmp_path, images):
    path = tmp_path / 'k.json'
    classes = ['dog', 'cat', 'Ä, "b"; <c>&']
    coco_keypoints.write(images, path, classes=classes)
    dataset = PointCocoDataset(ann_file=str(path), point_source='keypoints')
    assert dataset.metainfo['classes'] == tuple(classes)
    for index, image in enumerate(coco_keypoints.read(path)):
        entries = dataset.get_data_info(index)['instances']
        assert [(*e['point'], classes[e['bbox_label']]) for e in entries] == [
            (p.x, p.y, p.label) for p in image.points
        ]


def test_first_labelled_keypoint(coco):
    path = coco([0, 0, 0, 10, 20, 1, 30, 31, 2], [5, 6, 2])
    (image,) = coco_keypoints.read(path)
    assert [(p.x, p.y) for p in image.points] == [(10.5, 20.5), (5.5, 6.5)]
    assert image.points[1].where == f'{path}: annotations[1]'
    (image,) = coco_keypoints.read(path, all_keypoints=True, pixel_indices=False)
    assert [(p.x, p.y) for p in image.points] == [(10, 20), (30, 31), (5, 6)]


@pytest.mark.parametrize('keypoints', [[0, 0, 0], [], None])
def test_unlabelled(coco, keypoints):
    path = coco([1, 2, 2], keypoints)
    message = r'keypoints.json: annotations\[1\]: expected a labelled .* \(--unlabelled skip leaves'
    with pytest.raises(ValueError, match=message):
        coco_keypoints.read(path)
    _, report = assemble_point_json(coco_keypoints.read(path, unlabelled='skip'))
    assert report.num_points == {'person': 1}
    assert report.refused == (f'{path}: annotations[1]: no labelled keypoint',)


def test_crowds_are_left_out(coco):
    path = coco()
    annotation = dict(image_id=7, category_id=3, iscrowd=1, keypoints=[0] * 51)
    (image,) = coco_keypoints.read(coco(annotations=[annotation]))
    assert not image.points
    assert image.left_out == [f'{path}: annotations[0]: a crowd']


@pytest.mark.parametrize(
    ('keypoints', 'message'),
    [
        ([1, 2], r'keypoints.json: annotations\[1\]: expected keypoints x, y, v'),
        (['x', 2, 2], r'keypoints.json: annotations\[1\]: expected two numbers x, y'),
        ([1, 2, None], r'keypoints.json: annotations\[1\]: expected a visibility'),
        ('abc', r'annotations\[1\]: expected keypoints'),
    ],
)
def test_malformed_keypoints(coco, keypoints, message):
    with pytest.raises(ValueError, match=message):
        coco_keypoints.read(coco([1, 2, 2], keypoints))


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(images=[]), r'keypoints.json: annotation 0: unknown image_id 7'),
        (dict(categories=[]), r'annotation 0: unknown category_id 3'),
        (dict(images=None), "keypoints.json: expected a list 'images'"),
        (dict(images=[dict(id=7)]), r"images\[0\] lacks \['file_name', 'height', 'width'\]"),
        (dict(images=[IMAGE, IMAGE | dict(file_name='b.jpg')]), r'images\[1\]: id 7 duplicates'),
        (dict(categories=[PERSON, PERSON | dict(name='b')]), r'categories\[1\]: id 3 duplicates'),
        (
            dict(categories=[PERSON, PERSON | dict(id=4)]),
            r"categories\[1\]: name 'person' duplicates",
        ),
        (dict(annotations=[dict(image_id=[], category_id=3)]), r'\[0\]: unknown image_id \[\]'),
        (dict(annotations=[dict(image_id=7)]), r"annotations\[0\] lacks \['category_id'\]"),
    ],
)
def test_malformed_files(coco, changes, message):
    with pytest.raises(ValueError, match=message):
        coco_keypoints.read(coco([1, 2, 2], **changes))


def test_truncated(coco):
    path = coco([1, 2, 2])
    path.write_text(path.read_text()[:-5])
    with pytest.raises(ValueError, match='keypoints.json: invalid json, line 1 column'):
        coco_keypoints.read(path)


def test_sizes_against_the_files(tmp_path, images, image_dir, resize):
    coco_keypoints.write([resize(images[0], width=61)], tmp_path / 'k.json')
    with pytest.raises(ValueError, match=r'k.json: images\[0\]: .* 60 x 40 in .*b 1.jpg'):
        coco_keypoints.read(tmp_path / 'k.json', image_dir=image_dir)


def test_unknown_class_is_not_written(tmp_path, images):
    with pytest.raises(ValueError, match="class 'dog' is not one of"):
        coco_keypoints.write(images, tmp_path / 'k.json', classes=['cat'])
    assert not (tmp_path / 'k.json').exists()


def test_background_clicks(tmp_path, clicked, image_dir, plain, all_plain):
    path = tmp_path / 'k.json'
    coco_keypoints.write(clicked, path, classes=['dog', 'cat', 'Ä, "b"; <c>&'], pixel_indices=False)
    again = coco_keypoints.read(path, image_dir=image_dir, pixel_indices=False)
    assert plain(again) == all_plain(clicked)
    categories = json.loads(path.read_text())['categories']
    assert [(entry['id'], entry['name']) for entry in categories[2:]] == [
        (3, 'Ä, "b"; <c>&'),
        (4, 'background'),
    ]


def keypoint_json(path, *pairs, **more):
    annotations = [
        dict(id=i, image_id=1, category_id=1, keypoints=[*pair, 2], num_keypoints=1)
        for i, pair in enumerate(pairs)
    ]
    images = [dict(id=1, file_name='a.png', height=8, width=12)]
    categories = [dict(id=1, name='cell', keypoints=['1'], skeleton=[])]
    content = dict(images=images, categories=categories, annotations=annotations, **more)
    path.write_text(json.dumps(content))
    return path


def places(images):
    return [(p.x, p.y) for image in images for p in image.points]


def test_coordinates_with_fractions_are_continuous(tmp_path):
    """CVAT's skeletons of one point are those of its XML."""
    path = keypoint_json(tmp_path / 'a.json', (3.25, 2.75), (9.0, 6.0))
    assert places(coco_keypoints.read(path)) == [(3.25, 2.75), (9, 6)]
    assert places(coco_keypoints.read(path, pixel_indices=True))[1] == (9.5, 6.5)
    dataset = PointCocoDataset(ann_file=str(path), point_source='keypoints', serialize_data=False)
    points = [instance['point'] for instance in dataset.get_data_info(0)['instances']]
    assert points == [[3.25, 2.75], [9, 6]]


def test_whole_numbers_are_pixel_indices_as_in_coco(tmp_path):
    path = keypoint_json(tmp_path / 'a.json', (3, 2), (9.0, 6))
    assert places(coco_keypoints.read(path)) == [(3.5, 2.5), (9.5, 6.5)]
    ours = keypoint_json(tmp_path / 'b.json', (3.25, 2), info=dict(description='points'))
    assert places(coco_keypoints.read(ours)) == [(3.75, 2.5)]


def test_no_annotations_name_the_export_to_take(tmp_path):
    path = keypoint_json(tmp_path / 'a.json')
    with pytest.raises(ValueError, match=r"a\.json: .* got none: .*'CVAT for images 1\.1', export"):
        coco_keypoints.read(path)
    assert len(coco_keypoints.read(path, allow_empty=True)) == 1


def test_what_has_no_place_is_left_out_on_request(tmp_path):
    path = keypoint_json(tmp_path / 'a.json', (3.25, 2), ('x', 1))
    (image,) = coco_keypoints.read(path, skip_refused=True)
    assert (len(image.points), len(image.left_out)) == (1, 1)
