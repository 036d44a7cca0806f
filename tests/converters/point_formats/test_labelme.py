import json

import pytest
from PIL import Image

from mmp2seg.converters.point_formats import labelme
from mmp2seg.converters.point_json import assemble_point_json


def shape(kind, *points, label='cat'):
    return dict(label=label, points=[list(p) for p in points], shape_type=kind, group_id=None)


@pytest.fixture
def folder(tmp_path):
    """Writes ``a.json`` with shapes and changed entries; returns the folder."""

    def make(*shapes, **changes):
        content = dict(
            version='5.5.0',
            imagePath='..\\images\\a.jpg',
            imageData=None,
            imageHeight=40,
            imageWidth=60,
            shapes=list(shapes),
        )
        (tmp_path / 'labels').mkdir(exist_ok=True)
        (tmp_path / 'labels/a.json').write_text(json.dumps({**content, **changes}))
        return tmp_path / 'labels'

    return make


def test_round_trip(tmp_path, images, image_dir, plain):
    labelme.write(images, tmp_path / 'out', image_dir=image_dir)
    again = labelme.read(tmp_path / 'out', image_dir=image_dir)
    assert plain(again) == sorted(plain(images))  # the jsons are read in the order of their names
    content = json.loads((tmp_path / 'out/b 1.json').read_text())
    assert content['imagePath'] == '../images/b 1.jpg'
    assert content['shapes'][2]['points'] == [[0.5, 0]]


def test_images_beside_the_jsons(tmp_path, images):
    labelme.write(images, tmp_path / 'out')
    assert json.loads((tmp_path / 'out/empty.json').read_text())['imagePath'] == 'empty.jpg'


def test_places(folder):
    (image,) = labelme.read(folder(shape('point', (1, 2)), shape('point', (3, 4), label='dog')))
    assert (image.file_name, image.height, image.width) == ('a.jpg', 40, 60)
    assert image.where.endswith('labels/a.json')
    assert [point.where for point in image.points] == [
        f'{image.where}: shapes[0]',
        f'{image.where}: shapes[1]',
    ]


def test_other_shapes(folder):
    shapes = [
        shape('rectangle', (10, 20), (4, 30)),
        shape('circle', (5, 6), (9, 9)),
        shape('point', (1, 2)),
    ]
    (image,) = labelme.read(folder(*shapes), other_shapes='center')
    assert [(p.x, p.y) for p in image.points] == [(7, 25), (5, 6), (1, 2)]
    (image,) = labelme.read(folder(*shapes), other_shapes='skip')
    assert [(p.x, p.y) for p in image.points] == [(1, 2)]
    _, report = assemble_point_json([image])
    assert [line.split('labels/')[1] for line in report.refused] == [
        'a.json: shapes[0]: a rectangle',
        'a.json: shapes[1]: a circle',
    ]
    with pytest.raises(ValueError, match=r'a.json: shapes\[0\]: expected a point, got a rectangle'):
        labelme.read(folder(*shapes))
    polygon = shape('polygon', (1, 2), (3, 4), (5, 6))
    with pytest.raises(ValueError, match=r'a.json: shapes\[1\]: .* got a polygon'):
        labelme.read(folder(shapes[0], polygon), other_shapes='center')
    del polygon['shape_type']  # old LabelMe
    with pytest.raises(ValueError, match=r'a.json: shapes\[0\]: .* got a polygon'):
        labelme.read(folder(polygon))
    with pytest.raises(ValueError, match='expected other_shapes to be one of'):
        labelme.read(folder(), other_shapes='centre')


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(shapes=None), r"a.json: expected a list 'shapes'"),
        (dict(shapes=[{'label': 'cat'}]), r"a.json: shapes\[0\] lacks \['points'\]"),
        (dict(shapes=[shape('point', (1, 'x'))]), r'a.json: shapes\[0\]: expected two numbers'),
        (dict(shapes=[shape('point')]), r'a.json: shapes\[0\]: expected points of 1 \[x, y\]'),
        (dict(shapes=[shape('point', (1, 2), (3, 4))]), r'shapes\[0\]: expected points of 1'),
        (dict(shapes=[shape('point', (1, 2), label='')]), r'a.json: shapes\[0\]: expected a label'),
        (dict(shapes=[shape(3.5, (1, 2))]), r'shapes\[0\]: expected a shape_type, got 3\.5'),
        (dict(shapes=[shape(['point'], (1, 2))]), r'shapes\[0\]: expected a shape_type, got \['),
        (dict(imagePath=None), 'a.json: expected an imagePath, got None'),
        (dict(imageHeight=None), 'a.json: expected the size of a.jpg, got none .--image-dir DIR'),
    ],
)
def test_malformed(folder, changes, message):
    with pytest.raises(ValueError, match=message):
        labelme.read(folder(**changes))


def test_truncated(folder):
    path = folder() / 'a.json'
    path.write_text(path.read_text()[:-9])
    with pytest.raises(ValueError, match=r'a.json: invalid json, line 1 column \d+'):
        labelme.read(path.parent)


def test_subfolders(tmp_path):
    for name, width in (('x', 6), ('y', 7)):
        (tmp_path / 'data' / name).mkdir(parents=True)
        Image.new('L', (width, 5)).save(tmp_path / 'data' / name / '1.jpg')
        content = dict(imagePath='1.jpg', imageHeight=5, imageWidth=width, shapes=[])
        (tmp_path / 'data' / name / '1.json').write_text(json.dumps(content))
    for options in ({}, dict(image_dir=tmp_path / 'data')):
        images = labelme.read(tmp_path / 'data', **options)
        assert [(i.file_name, i.width) for i in images] == [('x/1.jpg', 6), ('y/1.jpg', 7)]
    (tmp_path / 'labels.json').mkdir()  # jsons in one folder, images in subfolders
    content['imagePath'] = '..\\data\\y\\1.jpg'
    (tmp_path / 'labels.json/a.json').write_text(json.dumps(content))
    (image,) = labelme.read(tmp_path / 'labels.json', image_dir=tmp_path / 'data')
    assert image.file_name == 'y/1.jpg'
    (image,) = labelme.read(tmp_path / 'labels.json', image_dir=tmp_path / 'data/y')
    assert image.file_name == '1.jpg'
    (image,) = labelme.read(tmp_path / 'labels.json')
    assert image.file_name == '1.jpg'


def test_absolute_paths_of_another_machine(folder, image_dir, images):
    path = folder(imagePath='C:\\data\\b 1.jpg')
    (path / 'a.json').rename(image_dir / 'a.json')
    (image,) = labelme.read(image_dir, image_dir=image_dir)
    assert image.file_name == 'b 1.jpg'


def test_the_images_are_never_overwritten(image_dir, images):
    with pytest.raises(ValueError, match='images: expected a folder that holds none of the input'):
        labelme.write(images, image_dir, image_dir=image_dir, overwrite=True)
    assert (image_dir / 'b 1.jpg').is_file()


def test_nothing_there(tmp_path):
    with pytest.raises(FileNotFoundError, match='nowhere: there is no such folder'):
        labelme.read(tmp_path / 'nowhere')
    with pytest.raises(ValueError, match='expected a folder with a json per image'):
        labelme.read(tmp_path)


def test_sizes_against_the_files(tmp_path, images, image_dir, resize):
    labelme.write([resize(images[0], height=41)], tmp_path / 'out')
    with pytest.raises(ValueError, match=r'b 1.json: expected 60 x 41 .* 60 x 40 in .*b 1.jpg'):
        labelme.read(tmp_path / 'out', image_dir=image_dir)
    path = tmp_path / 'out/b 1.json'
    path.write_text(json.dumps(json.loads(path.read_text()) | {'imageHeight': None}))
    (image,) = labelme.read(tmp_path / 'out', image_dir=image_dir)
    assert (image.height, image.width) == (40, 60)


def test_names_that_collide_are_not_written(tmp_path, images):
    clash = [images[0], images[1].__class__('x/b 1.png', 1, 1, [], '')]
    with pytest.raises(ValueError, match=r'got b 1.jpg and x/b 1.png, which share b 1.json'):
        labelme.write(clash, tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


def test_a_folder_with_contents_is_kept(tmp_path, images):
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out/mine.json').touch()
    with pytest.raises(FileExistsError, match='out: the folder is not empty'):
        labelme.write(images, tmp_path / 'out')
    labelme.write(images, tmp_path / 'out', overwrite=True)
    assert len(list((tmp_path / 'out').iterdir())) == 3


def test_background_clicks(tmp_path, clicked, image_dir, plain, all_plain):
    labelme.write(clicked, tmp_path / 'out', image_dir=image_dir)
    again = labelme.read(tmp_path / 'out', image_dir=image_dir)
    assert plain(again) == sorted(all_plain(clicked))


def test_jsons_that_start_with_a_dot_are_ignored(folder):
    labels = folder(shape('point', (1, 2)))
    (labels / '._a.json').write_bytes(b'\x00\x05\x16\x07')
    (labels / '.ipynb_checkpoints').mkdir()
    (labels / '.ipynb_checkpoints/a-checkpoint.json').write_text((labels / 'a.json').read_text())
    assert [image.file_name for image in labelme.read(labels)] == ['a.jpg']
    (labels / 'a.json').unlink()
    with pytest.raises(ValueError, match='labels: expected a folder with a json per image, got no'):
        labelme.read(labels)


@pytest.mark.parametrize('kind', ['rectangle', 'rotation'])
def test_four_corners_of_x_anylabeling(tmp_path, kind):
    corners = [[2, 1], [6, 1], [6, 5], [2, 5]]
    shape = dict(label='cell', points=corners, shape_type=kind, attributes={}, difficult=False)
    content = dict(shapes=[shape], imagePath='a.png', imageHeight=8, imageWidth=12)
    (tmp_path / 'a.json').write_text(json.dumps(content))
    (image,) = labelme.read(tmp_path, other_shapes='center')
    assert [(p.x, p.y) for p in image.points] == [(4, 3)]
    shape['points'].pop()
    (tmp_path / 'a.json').write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r'a\.json: shapes\[0\]: expected points of .*4 \[x, y\]'):
        labelme.read(tmp_path, other_shapes='center')
    (image,) = labelme.read(tmp_path, other_shapes='center', skip_refused=True)
    assert (len(image.points), len(image.left_out)) == (0, 1)


def test_hidden_files_are_no_input(tmp_path):
    shape = dict(label='cell', points=[[3.5, 2.5]], shape_type='point')
    content = dict(shapes=[shape], imagePath='a.png', imageHeight=8, imageWidth=12)
    (tmp_path / '.ipynb_checkpoints').mkdir()
    for name in ('a.json', '.ipynb_checkpoints/a-checkpoint.json'):
        (tmp_path / name).write_text(json.dumps(content))
    (tmp_path / '._a.json').write_bytes(b'\0\5\x16\7Mac OS X')
    (image,) = labelme.read(tmp_path)
    assert [(p.x, p.y) for p in image.points] == [(3.5, 2.5)]
