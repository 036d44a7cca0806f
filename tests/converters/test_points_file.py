"""Read files of every format that are made by hand, and files that are wrong."""

import json

import numpy as np
import pytest
from PIL import Image

from mmp2seg.converters.points_file import (
    read_points,
    read_points_and_report,
    read_source_images,
)
from mmp2seg.datasets import PointCocoDataset

SIZES = {'a.png': (60, 40), 'sub/b.jpg': (30, 20), 'c.png': (8, 8)}
# the points that all files below have
CATS = {'a.png': [('cat', 10.5, 20.5), ('dog', 3.0, 4.0)], 'sub/b.jpg': [('cat', 1.5, 2.5)]}
CLICKS = {'a.png': [[50.5, 1.0]], 'sub/b.jpg': [[7.5, 7.5], [8.5, 7.5]]}

CSV = """file;x;y;class
a.png;10.5;20.5;cat
a.png;50.5;1;background
a;3;4;dog
sub\\b;1.5;2.5;cat
sub/b.jpg;7.5;7.5;background
sub/b.jpg;8.5;7.5;background
sub/b.jpg;7.5;7.5;background
"""

CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <image id="0" name="a.png" width="60" height="40">
    <points label="cat" points="10.5,20.5"/>
    <points label="dog" points="3,4"/>
    <points label="background" points="50.5,1"/>
  </image>
  <image id="1" name="sub/b.jpg" width="30" height="20">
    <points label="cat" points="1.50,2.50"/>
    <points label="background" points="7.5,7.5;8.5,7.5"/>
  </image>
</annotations>
"""

COCO_IMAGES = [
    dict(id=31, file_name='a.png', height=40, width=60),
    dict(id=7, file_name='sub/b.jpg', height=20, width=30),
]

POINT_JSON = dict(
    images=[{**image, 'background_points': CLICKS[image['file_name']]} for image in COCO_IMAGES],
    categories=[dict(id=18, name='dog'), dict(id=17, name='cat')],
    annotations=[
        dict(id=5, image_id=31, category_id=17, point=[10.5, 20.5], segmentation=[[1, 2, 3]]),
        dict(id=9, image_id=7, category_id=17, point=[1.5, 2.5]),
        dict(id=2, image_id=31, category_id=18, point=[3, 4]),
        dict(id=11, image_id=7, category_id=18, iscrowd=1),
    ],
)


def keypoint(number, image_id, category_id, x, y):
    """COCO's keypoints are pixel indices, half a pixel less."""
    values = [0, 0, 0, x - 0.5, y - 0.5, 2]
    return dict(id=number, image_id=image_id, category_id=category_id, keypoints=values)


KEYPOINTS = dict(
    info=dict(description='points'),  # as we write it: pixel indices, although some have fractions
    images=COCO_IMAGES,
    categories=[dict(id=1, name='background'), dict(id=2, name='cat'), dict(id=3, name='dog')],
    annotations=[
        keypoint(1, 31, 2, 10.5, 20.5),
        keypoint(2, 31, 1, 50.5, 1),
        keypoint(3, 31, 3, 3, 4),
        keypoint(4, 7, 2, 1.5, 2.5),
        keypoint(5, 7, 1, 7.5, 7.5),
        keypoint(6, 7, 1, 8.5, 7.5),
    ],
)


def shapes(*points):
    return [
        dict(label=label, points=[[x, y]], shape_type='point', flags={}) for label, x, y in points
    ]


def region(width, height, label, x, y):
    value = dict(x=x / width * 100, y=y / height * 100, width=0.5, keypointlabels=[label])
    sizes = dict(original_width=width, original_height=height, image_rotation=0)
    return dict(type='keypointlabels', from_name='kp', to_name='image', **sizes, value=value)


@pytest.fixture
def folder(tmp_path):
    """Make the folder of the images, in which hidden names are no images."""
    images = tmp_path / 'images'
    for name, size in SIZES.items():
        (images / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new('RGB', size).save(images / name)
    (images / '._a.png').write_bytes(b'no image')
    (images / '.cache').mkdir()
    Image.new('RGB', (4, 4)).save(images / '.cache/d.png')
    return images


@pytest.fixture
def write(tmp_path):
    """Writes text or json to a file; returns its path."""

    def run(content, name='points'):
        text = content if isinstance(content, str) else json.dumps(content)
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return run


def table(*rows):
    return '\n'.join(['file,x,y,class', *rows, ''])


def points_of(content):
    """Return the points by image and the clicks by image, of images that have some."""
    labels = {category['id']: category['name'] for category in content['categories']}
    names = {image['id']: image['file_name'] for image in content['images']}
    points = {}
    for a in content['annotations']:
        entry = (labels[a['category_id']], *a['point'])
        points.setdefault(names[a['image_id']], []).append(entry)
    clicks = {
        image['file_name']: image['background_points']
        for image in content['images']
        if 'background_points' in image
    }
    return points, clicks


def check_equal(content):
    """Check a content against the points that all files have, to rounding."""
    assert [(i['file_name'], i['width'], i['height']) for i in content['images']] == [
        ('a.png', 60, 40),
        ('sub/b.jpg', 30, 20),
    ]
    points, clicks = points_of(content)
    for found, wanted in ((points, CATS), (clicks, CLICKS)):
        assert list(found) == list(wanted)
        for name in wanted:
            for entry, expected in zip(found[name], wanted[name], strict=True):
                assert entry[:-2] == expected[:-2]
                assert entry[-2:] == pytest.approx(expected[-2:], abs=1e-9)


@pytest.mark.parametrize('source', [CSV, CSV.replace(';', '\t'), CVAT, KEYPOINTS])
def test_files(folder, write, source):
    content, report = read_points_and_report(write(source), folder)
    check_equal(content)
    assert content == read_points(write(source), folder)
    assert [category['name'] for category in content['categories']] == ['cat', 'dog']
    assert (report.num_points, report.num_background) == ({'cat': 2, 'dog': 1}, 3)


def test_labelme(folder, tmp_path):
    """The jsons are beside the images, or in a folder of their own."""
    for name, (width, height) in list(SIZES.items())[:2]:
        clicks = [('background', *click) for click in CLICKS[name]]
        content = dict(
            imagePath=name.split('/')[-1],
            imageHeight=height,
            imageWidth=width,
            shapes=shapes(*CATS[name], *clicks),
        )
        for root in (folder, tmp_path / 'labels'):
            path = (root / name).with_suffix('.json')
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(content))
    check_equal(read_points(tmp_path / 'labels', folder))
    check_equal(read_points(folder, folder))


@pytest.mark.parametrize('minimal', [False, True])
def test_label_studio(folder, write, minimal):
    """Label Studio's names have no folders."""
    (folder / 'sub/b.jpg').rename(folder / 'b.jpg')
    rows = []
    for name, size in list(SIZES.items())[:2]:
        clicks = [('background', *click) for click in CLICKS[name]]
        url = f'/data/upload/1/01234567-{name.split("/")[-1]}'
        results = [region(*size, *entry) for entry in [*CATS[name], *clicks]]
        if minimal:
            sizes = dict(original_width=size[0], original_height=size[1])
            values = [result['value'] | sizes for result in results]
            rows.append(dict(id=len(rows), image=url, kp=values, annotation_id=1))
        else:
            rows.append(dict(data=dict(image=url), annotations=[dict(result=results)]))
    found_out = read_points(write(rows), folder)  # the prefix is found out
    content = read_points(write(rows), folder, options=dict(strip_prefix=True))
    assert found_out == content
    assert content['images'][1]['file_name'] == 'b.jpg'
    content['images'][1]['file_name'] = 'sub/b.jpg'
    check_equal(content)


def points_by_id(content):
    return {a['id']: (a['image_id'], a['category_id'], *a['point']) for a in content['annotations']}


def test_point_json_keeps_its_ids(folder, write):
    content, report = read_points_and_report(write(POINT_JSON), folder)
    check_equal(content)
    assert content['categories'] == [dict(id=17, name='cat'), dict(id=18, name='dog')]
    assert [image['id'] for image in content['images']] == [31, 7]
    expected = {5: (31, 17, 10.5, 20.5), 2: (31, 18, 3, 4), 9: (7, 17, 1.5, 2.5)}
    assert points_by_id(content) == expected
    assert content['images'] == POINT_JSON['images']
    assert report.num_background == 3
    assert read_points(write(content), folder) == content | dict(info=content['info'])


def test_point_json_of_other_classes(folder, write):
    """Classes of another order need other ids, as the ids give the order."""
    path = write(POINT_JSON)
    assert read_points(path, folder, classes=['cat', 'dog']) == read_points(path, folder)
    content = read_points(path, folder, classes=['dog', 'cow', 'cat'])
    assert content['categories'] == [
        dict(id=1, name='dog'),
        dict(id=2, name='cow'),
        dict(id=3, name='cat'),
    ]
    assert points_by_id(content) == {5: (31, 3, 10.5, 20.5), 2: (31, 1, 3, 4), 9: (7, 3, 1.5, 2.5)}
    with pytest.raises(ValueError, match=r"annotation 2: class 'dog' is not one of \['cat'\]"):
        read_points(path, folder, classes=['cat'])


def test_point_json_with_a_class_background(folder, write):
    """The json says that it is a class; a list of classes without it says that it is not."""
    categories = [dict(id=1, name='background'), dict(id=17, name='cat'), dict(id=18, name='dog')]
    annotation = dict(id=1, image_id=7, category_id=1, point=[7.5, 7.5])
    annotations = [*POINT_JSON['annotations'], annotation]
    path = write(dict(images=COCO_IMAGES, categories=categories, annotations=annotations))
    content = read_points(path, folder)
    assert [category['name'] for category in content['categories']] == ['background', 'cat', 'dog']
    assert points_of(content)[0]['sub/b.jpg'][1] == ('background', 7.5, 7.5)
    assert points_of(content)[1] == {}
    content = read_points(path, folder, classes=['cat', 'dog'])
    assert points_of(content)[1] == {'sub/b.jpg': [[7.5, 7.5]]}
    assert len(content['annotations']) == 3
    with pytest.raises(ValueError, match=r"images\[0\]: expected no background_points, as 'backgr"):
        read_points(write(POINT_JSON), folder, classes=['background', 'cat', 'dog'])


def test_point_json_ids(folder, write):
    """Annotations without ids get some; ids that are repeated or not everywhere are errors."""
    annotations = [dict(image_id=7, category_id=17, point=[x, 1]) for x in (1, 2)]
    content = read_points(write({**POINT_JSON, 'annotations': annotations}), folder)
    assert points_by_id(content) == {1: (7, 17, 1, 1), 2: (7, 17, 2, 1)}
    annotations[0]['id'] = 4
    with pytest.raises(ValueError, match=r"points: annotations\[1\] lacks \['id'\]"):
        read_points(write({**POINT_JSON, 'annotations': annotations}), folder)
    annotations[1]['id'] = 4
    with pytest.raises(ValueError, match=r'annotations\[1\]: id 4 duplicates annotations\[0\]'):
        read_points(write({**POINT_JSON, 'annotations': annotations}), folder)


def test_the_dataset_reads_the_result(folder, write, tmp_path):
    path = write(read_points(write(CSV), folder), 'out.json')
    dataset = PointCocoDataset(ann_file=str(path), data_prefix=dict(img=str(folder)))
    assert dataset.metainfo['classes'] == ('cat', 'dog')
    entries = [dataset.get_data_info(index) for index in range(2)]
    assert [entry['background_points'] for entry in entries] == list(CLICKS.values())
    assert [instance['point'] for instance in entries[0]['instances']] == [[10.5, 20.5], [3, 4]]


@pytest.mark.parametrize('source', [CSV, CVAT, KEYPOINTS, POINT_JSON])
def test_images_that_are_not_listed(folder, write, source):
    content = read_points(write(source), folder, list_images=True)
    assert [image['file_name'] for image in content['images']] == ['a.png', 'sub/b.jpg', 'c.png']
    assert content['images'][2] == dict(
        id=content['images'][2]['id'], file_name='c.png', height=8, width=8
    )
    content['images'].pop()
    check_equal(content)


def test_ids_of_images_that_are_not_listed(folder, write):
    content = read_points(write(POINT_JSON), folder, list_images=True)
    assert [image['id'] for image in content['images']] == [31, 7, 32]
    images = [{**image, 'id': f'i{image["id"]}'} for image in COCO_IMAGES]
    path = write(dict(images=images, categories=[], annotations=[]))
    content = read_points(path, folder, list_images=True, allow_empty=True)
    assert [image['id'] for image in content['images']] == ['i31', 'i7', 1]


def test_classes(folder, write):
    path = write(CSV)
    content = read_points(path, folder, classes=['dog', 'cow', 'cat'])
    assert [category['name'] for category in content['categories']] == ['dog', 'cow', 'cat']
    check_equal(content)
    content = read_points(path, folder, classes=['background', 'dog', 'cat'], skip_refused=True)
    assert points_of(content)[0]['a.png'][1] == ('background', 50.5, 1)
    assert points_of(content)[1] == {}
    with pytest.raises(ValueError, match=r"points:4: class 'dog' is not one of \['cat'\]"):
        read_points(path, folder, classes=['cat'])


def test_options(folder, write):
    content = read_points(write(table('a,1,2,cat')), folder, options=dict(pixel_indices=True))
    assert content['annotations'][0]['point'] == [1.5, 2.5]
    with pytest.raises(ValueError, match='--strip-prefix: not an option of --format csv'):
        read_points(write(CSV), folder, options=dict(strip_prefix=True))
    with pytest.raises(ValueError, match='--pixel-indices: not an option of --format point-json'):
        read_points(write(POINT_JSON), folder, options=dict(pixel_indices=True))
    box = CVAT.replace('</image>', '<box label="cat" xtl="1" ytl="1" xbr="2" ybr="4"/></image>', 1)
    with pytest.raises(ValueError, match=r'image 0 .*box\[0\]: expected a points?, got a box'):
        read_points(write(box), folder)
    content = read_points(write(box), folder, options=dict(other_shapes='center'))
    assert content['annotations'][2]['point'] == [1.5, 2.5]


def test_other_shapes_are_skipped_with_the_refused_points(folder, write):
    box = CVAT.replace('</image>', '<box label="cat" xtl="1" ytl="1" xbr="2" ybr="4"/></image>', 1)
    content, report = read_points_and_report(write(box), folder, skip_refused=True)
    check_equal(content)
    assert len(report.refused) == 1 and report.refused[0].endswith('box[0]: a box')
    options = dict(other_shapes='error')
    images = read_source_images(write(box), 'cvat', options=options, skip_refused=True)
    assert [line.split(': ', 3)[-1][:20] for line in images[0].left_out] == ['expected a point, go']


@pytest.mark.parametrize(
    ('rows', 'message'),
    [
        (['a,60.1,1,cat'], r'points:2: point \(60.1, 1\) is outside of a.png, 60 x 40 pixels'),
        (['a,1,40.1,background'], r'points:2: point \(1, 40.1\) is outside of a.png'),
        (['a,nan,1,cat'], r'points:2: expected finite coordinates, got \(nan, 1'),
        (['a,1,1,cat', 'a,1,inf,background'], r'points:3: expected finite coordinates'),
        (['a,1,1,cat', 'a,1,1,cat'], r"points:3: a second 'cat' at \(1, 1\) in a.png"),
        (['a,1,1,background', 'a,1,1,cat'], r'points:2: a background click at \(1, 1\) in a.png'),
        (['a,1,1,cat', 'a,1.2,1.7,background'], r"points:3: .* in the pixel of a 'cat'"),
        (['d.png,1,1,cat'], r'points:2: .*d.png: no such file'),
        (['b.jpg,1,1,cat'], r'points:2: .*b.jpg: no such file'),
        (['../images/a.png,1,1,cat'], 'points:2: expected a file in the image folder'),
        ([], r'points: expected rows below the header, got none \(--list-images takes images'),
    ],
)
def test_tables_with_mistakes(folder, write, rows, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        read_points(write(table(*rows)), folder)


def test_skip_refused(folder, write):
    rows = ['a,60.1,1,cat', 'a,1,1,cat', 'a,1,1,cat', 'a,1,1,background', 'a,9,9,background']
    rows += ['a,70,9,background', 'a,2,nan,dog']
    content, report = read_points_and_report(write(table(*rows)), folder, skip_refused=True)
    assert points_of(content) == ({'a.png': [('cat', 1, 1)]}, {'a.png': [[9, 9]]})
    assert [line.split(': ')[0][-1] for line in report.refused] == ['2', '4', '8', '5', '7']
    assert str(report).splitlines()[3:5] == ['1 background clicks', '5 points left out:']


def test_skip_refused_leaves_out_all_that_has_no_place(folder, write):
    """Rows without number, class or image, of a missing image, and of one that is no image."""
    (folder / 'no.png').write_text('no image')
    rows = ['a,1,1,cat', 'a,one,1,cat', 'a,2,2,', ',3,3,cat', 'gone.png,1,1,cat', 'no.png,1,1,cat']
    rows += ['../a.png,1,1,cat']
    content, report = read_points_and_report(write(table(*rows)), folder, skip_refused=True)
    assert points_of(content)[0] == {'a.png': [('cat', 1, 1)]}
    assert [image['file_name'] for image in content['images']] == ['a.png']
    lines = sorted({int(line.split('points:')[1].split(':')[0]) for line in report.refused})
    assert lines == [3, 4, 5, 6, 7, 8]
    sizes = json.loads(json.dumps(POINT_JSON).replace('"width": 60', '"width": 61'))
    content, report = read_points_and_report(write(sizes), folder, skip_refused=True)
    assert [image['file_name'] for image in content['images']] == ['sub/b.jpg']
    assert all('expected 61 x 40 pixels' in line for line in report.refused)


def test_points_in_one_pixel(folder, write):
    """Other classes, and another place in the pixel, are points of their own."""
    rows = ['a,1.5,1.5,cat', 'a,1.5,1.5,dog', 'a,1.6,1.5,cat']
    content = read_points(write(table(*rows)), folder)
    assert [a['point'] for a in content['annotations']] == [[1.5, 1.5], [1.5, 1.5], [1.6, 1.5]]


def test_no_points(folder, write):
    content, report = read_points_and_report(
        write(table()), folder, list_images=True, allow_empty=True
    )
    assert [image['file_name'] for image in content['images']] == ['a.png', 'c.png', 'sub/b.jpg']
    assert content['annotations'] == content['categories'] == []
    assert str(report) == '3 images (3 without points), 0 points'
    empty = dict(images=[], categories=[], annotations=[])
    message = r'points: expected images, got none \(--list-images takes those of the folder\)'
    for source in (empty, '<annotations></annotations>'):
        with pytest.raises(ValueError, match=message):
            read_points(write(source), folder)
        options = dict(list_images=True, allow_empty=True)
        assert len(read_points(write(source), folder, **options)['images']) == 3
    source = write({**empty, 'images': COCO_IMAGES})
    with pytest.raises(ValueError, match='points: expected a point, got none in 2 images'):
        read_points(source, folder)
    assert len(read_points(source, folder, allow_empty=True)['images']) == 2


def test_background_clicks_alone(folder, write):
    path = write(table('a,1,1,background', 'c,2,2,background'))
    content, report = read_points_and_report(path, folder)
    assert content['categories'] == content['annotations'] == []
    assert points_of(content)[1] == {'a.png': [[1, 1]], 'c.png': [[2, 2]]}
    expected = '2 images (2 without points), 0 points\n2 background clicks'
    assert str(report) == expected


def test_ten_thousand_points(folder, write):
    rng = np.random.default_rng(0)
    places = rng.uniform([0, 0], [60, 40], (10_000, 2)).tolist()
    rows = [f'a.png,{x!r},{y!r},{"cat" if i % 3 else "dog"}' for i, (x, y) in enumerate(places)]
    content = read_points(write(table(*rows)), folder)
    assert [a['point'] for a in content['annotations']] == places


def test_images_of_any_depth_and_size(folder, write):
    Image.fromarray(np.zeros((5, 7), np.uint16)).save(folder / 'deep.png')
    Image.fromarray(np.zeros((5, 9), np.uint16)).save(folder / 'deep.tif')
    Image.new('L', (6, 5)).save(folder / 'grey.jpg')
    Image.new('1', (1, 1)).save(folder / 'dot.png')
    rows = ['deep.png,6.5,4.5,c', 'deep.tif,8,4,c', 'grey,5,4,c', 'dot,0.5,0.5,c']
    content = read_points(write(table(*rows)), folder)
    assert [(i['file_name'], i['width'], i['height']) for i in content['images']] == [
        ('deep.png', 7, 5),
        ('deep.tif', 9, 5),
        ('grey.jpg', 6, 5),
        ('dot.png', 1, 1),
    ]
    with pytest.raises(ValueError, match=r'point \(1.1, 0\) is outside of dot.png, 1 x 1 pixels'):
        read_points(write(table('dot,1.1,0,c')), folder)


def test_sizes_are_those_of_the_files(folder, write):
    """An image of which only the header is there has a size, so no pixel is decoded."""
    data = (folder / 'a.png').read_bytes()
    (folder / 'a.png').write_bytes(data[: data.index(b'IDAT') + 4])
    check_equal(read_points(write(CSV), folder))
    for source in (CVAT, KEYPOINTS, POINT_JSON):
        text = source if isinstance(source, str) else json.dumps(source)
        text = text.replace('width="60"', 'width="61"').replace('"width": 60', '"width": 61')
        with pytest.raises(ValueError, match=r'expected 61 x 40 pixels .* got 60 x 40 in .*a.png'):
            read_points(write(text), folder)
    text = json.dumps(POINT_JSON).replace('"width": 60', '"width": "60"')
    with pytest.raises(
        ValueError, match=r"images\[0\]: expected width to be an integer > 0, got '6"
    ):
        read_points(write(text), folder)


def test_names_in_files_of_tools(folder, write):
    """Names are paths in the folder; two spellings of one image are one image twice."""
    path = write(CVAT.replace('"sub/b.jpg"', '"./sub\\..\\sub/b.jpg"'))
    check_equal(read_points(path, folder))
    images = [COCO_IMAGES[0], dict(COCO_IMAGES[0], id=7, file_name='./a.png')]
    path = write({**POINT_JSON, 'images': images})
    with pytest.raises(ValueError, match=r'images\[1\]: image a.png duplicates .*images\[0\]'):
        read_points(path, folder)
    for name in ('../images/a.png', str(folder / 'a.png')):
        images = [{**COCO_IMAGES[0], 'file_name': name}, COCO_IMAGES[1]]
        path = write({**POINT_JSON, 'images': images})
        with pytest.raises(ValueError, match=r'images\[0\]: expected a file in the image folder'):
            read_points(path, folder)


def test_missing_and_unknown_files(folder, write, tmp_path):
    with pytest.raises(FileNotFoundError, match='nowhere: no such folder'):
        read_points(write(CSV), tmp_path / 'nowhere')
    with pytest.raises(FileNotFoundError, match='none.csv: there is no such file or folder'):
        read_points(tmp_path / 'none.csv', folder)
    with pytest.raises(ValueError, match='images: expected a point json .* got a folder without a'):
        read_points(folder, folder)
    with pytest.raises(
        ValueError, match="points: expected a point json .* got the first line 'a,1"
    ):
        read_points(write('a,1,1,cat'), folder)
    (folder / 'a.png').write_text('no image')
    for source in (CSV, CVAT, KEYPOINTS, POINT_JSON):
        with pytest.raises(ValueError, match='points.*a.png: expected an image file'):
            read_points(write(source), folder)


def test_true_masks_and_boxes_are_kept(folder):
    square = [[8, 18, 14, 18, 14, 24, 8, 24]]
    first, second, third, crowd = POINT_JSON['annotations']
    content = {
        **POINT_JSON,
        'images': [POINT_JSON['images'][0], dict(POINT_JSON['images'][1], supervision='mask')],
        'annotations': [
            dict(first, segmentation=square, supervision='mask', bbox=[0, 0, 1, 1]),
            dict(second, segmentation=[[0, 0, 5, 0, 5, 5]], supervision='mask'),
            dict(third, bbox=[2, 3, 4, 5], supervision='box'),
            crowd,
        ],
    }
    (folder.parent / 'masks.json').write_text(json.dumps(content))
    found = read_points(folder.parent / 'masks.json', folder)
    by_id = {a['id']: a for a in found['annotations']}
    assert (by_id[5]['supervision'], by_id[5]['segmentation']) == ('mask', square)
    assert 'bbox' not in by_id[5]
    assert (by_id[2]['supervision'], by_id[2]['bbox']) == ('box', [2, 3, 4, 5])
    assert [image.get('supervision') for image in found['images']] == [None, 'mask']
    content['annotations'][2]['bbox'] = [9, 9, 1, 1]
    (folder.parent / 'masks.json').write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r'masks.json: annotation 2: .* around the point'):
        read_points(folder.parent / 'masks.json', folder)
