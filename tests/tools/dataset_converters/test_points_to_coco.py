"""Run the command line for each format; malformed files write no output."""

import dataclasses
import json

import pytest
from PIL import Image

from mmp2seg.converters.point_formats import FORMATS
from mmp2seg.converters.point_json import SourceImage, SourcePoint

from ..tool_runs import run_tool


def point(x, y, label):
    return SourcePoint(x, y, label, '')


IMAGES = [
    SourceImage('a.jpg', 40, 60, [point(10.5, 20.5, 'dog'), point(1.5, 2.5, 'cat')], ''),
    SourceImage('b.jpg', 30, 50, [point(3.5, 4.5, 'dog')], ''),
]


@pytest.fixture
def convert(tmp_path):
    """Runs the tool: ``source`` is a file or folder with ``IMAGES``, ``out`` the json to write."""

    class Convert:
        out = tmp_path / 'new/points.json'
        image_dir = tmp_path / 'images'

        def write(self, name, images=IMAGES):
            self.image_dir.mkdir(exist_ok=True)
            for image in images:
                size = (image.width, image.height)
                Image.new('L', size).save(self.image_dir / image.file_name)
            self.source = tmp_path / f'source_{name}'
            FORMATS[name].write(images, self.source)
            self.name = name
            self.text = self.source / 'a.json' if name == 'labelme' else self.source
            return self

        def __call__(self, *options):
            arguments = ['--format', self.name, self.source, self.out]
            run_tool('points_to_coco', *arguments, '--image-dir', self.image_dir, *options)
            return json.loads(self.out.read_text())

        def mistake(self, *options):
            """Return the error message of the tool; check that it wrote nothing."""
            with pytest.raises(SystemExit) as info:
                self(*options)
            assert not self.out.exists()
            assert not self.out.parent.exists() or not list(self.out.parent.iterdir())
            return str(info.value.code)

    return Convert()


@pytest.mark.parametrize('name', FORMATS)
def test_every_format(convert, name, capsys):
    content = convert.write(name)('--classes', 'dog', 'cow', 'cat')
    assert [image['file_name'] for image in content['images']] == ['a.jpg', 'b.jpg']
    assert [a['category_id'] for a in content['annotations']] == [1, 3, 1]
    points = [value for a in content['annotations'] for value in a['point']]
    assert points == pytest.approx([10.5, 20.5, 1.5, 2.5, 3.5, 4.5])
    assert content['info'] == {'description': f'points of {name}'}
    assert capsys.readouterr().out.splitlines() == [
        '2 images (0 without points), 3 points',
        '  dog: 2',
        '  cow: 0',
        '  cat: 1',
        'semantic map values: 0 = background, 1 = dog, 2 = cow, 3 = cat',
    ]


def test_classes_are_sorted_or_from_a_file(convert, tmp_path, capsys):
    convert.write('csv')()
    assert capsys.readouterr().out.endswith('0 = background, 1 = cat, 2 = dog\n')
    (tmp_path / 'names.txt').write_text('dog\ncat\n')
    convert('--classes', str(tmp_path / 'names.txt'))
    assert capsys.readouterr().out.endswith('0 = background, 1 = dog, 2 = cat\n')


# by format: old and new text in the file, and the place in the error message
MISSING_KEY = {
    'labelme': ('"imagePath"', '"path"', r'a.json: expected an imagePath'),
    'cvat': (' points="10.5,20.5"', '', r'source_cvat: image 0 (a.jpg): points[0]: expected an a'),
    'coco-keypoints': ('"category_id"', '"category"', 'source_coco-keypoints: annotations[0] lack'),
    'label-studio': ('"annotations"', '"notes"', 'source_label-studio: tasks[0]: expected a list'),
    'csv': ('class', 'kind', 'source_csv:1: expected a header'),
}
NO_NUMBER = {
    'labelme': ('10.5', '"x"', 'a.json: shapes[0]: expected two numbers'),
    'cvat': ('10.5', 'x', 'source_cvat: image 0 (a.jpg): points[0]: expected two numbers'),
    'coco-keypoints': ('[10.0', '["x"', 'source_coco-keypoints: annotations[0]: expected two numb'),
    'label-studio': ('17.5', '"x"', 'tasks[0].annotations[0].result[0]: expected two numbers'),
    'csv': ('10.5', 'x', 'source_csv:2: expected two numbers'),
}
OUTSIDE = {
    'labelme': ('10.5', '60.1', 'a.json: shapes[0]: point (60.1, 20.5) is outside of a.jpg'),
    'cvat': ('10.5', '60.1', 'image 0 (a.jpg): points[0]: point (60.1, 20.5) is outside of a.jpg'),
    'coco-keypoints': ('[10.0', '[59.6', 'annotations[0]: point (60.1, 20.5) is outside of a.jpg'),
    'label-studio': ('17.5', '101', 'annotations[0].result[0]: point (60.6, 20.5) is outside of a'),
    'csv': ('10.5', '60.1', 'source_csv:2: point (60.1, 20.5) is outside of a.jpg'),
}
WRONG_CLASS = {
    'labelme': 'a.json: shapes[1]: class',
    'cvat': 'source_cvat: image 0 (a.jpg): points[1]: class',
    'coco-keypoints': 'source_coco-keypoints: annotations[1]: class',
    'label-studio': 'source_label-studio: tasks[0].annotations[0].result[1]: class',
    'csv': 'source_csv:3: class',
}
TRUNCATED = {
    'labelme': 'a.json: invalid json, line',
    'cvat': 'source_cvat: invalid xml, line',
    'coco-keypoints': 'source_coco-keypoints: invalid json, line 1',
    'label-studio': 'source_label-studio: invalid json, line 1',
    'csv': 'source_csv:4: expected 4 values, got 3',
}


@pytest.mark.parametrize('name', FORMATS)
@pytest.mark.parametrize('cases', [MISSING_KEY, NO_NUMBER, OUTSIDE], ids=['key', 'number', 'place'])
def test_malformed_files(convert, name, cases):
    old, new, message = cases[name]
    text = convert.write(name).text
    assert old in text.read_text()
    text.write_text(text.read_text().replace(old, new, 1))
    mistake = convert.mistake()
    assert mistake.startswith('points_to_coco.py: error: ')
    assert message in mistake


@pytest.mark.parametrize('name', FORMATS)
def test_truncated_files(convert, name):
    text = convert.write(name).text
    text.write_text(text.read_text()[:-5])
    assert TRUNCATED[name] in convert.mistake()


@pytest.mark.parametrize('name', FORMATS)
def test_wrong_class(convert, name):
    mistake = convert.write(name).mistake('--classes', 'dog')
    assert f"{WRONG_CLASS[name]} 'cat' is not one of ['dog']" in mistake


@pytest.mark.parametrize('name', FORMATS)
def test_missing_image_and_source(convert, name):
    convert.write(name)
    (convert.image_dir / 'b.jpg').unlink()
    assert 'b.jpg' in convert.mistake()
    convert.source = convert.source.with_name('nowhere')
    assert 'nowhere: there is no such' in convert.mistake()


def test_an_old_file_survives(convert):
    convert.write('csv')()
    old = convert.out.read_bytes()
    convert.text.write_text('file,x,y,class\na.jpg,1,one,cat\n')
    with pytest.raises(SystemExit, match=r'source_csv:2: expected two numbers'):
        convert()
    assert convert.out.read_bytes() == old
    assert list(convert.out.parent.iterdir()) == [convert.out]


def test_skip_refused(convert, capsys):
    text = convert.write('labelme').text
    text.write_text(text.read_text().replace('10.5', '60.1').replace('"point"', '"circle"', 1))
    convert('--skip-refused')
    out = capsys.readouterr().out
    assert '2 images (0 without points), 2 points' in out
    assert '1 points left out:' in out
    assert 'a.json: shapes[0]: a circle' in out
    convert('--skip-refused', '--other-shapes', 'center')
    assert 'a.json: shapes[0]: expected points of 2' in capsys.readouterr().out
    convert.out.unlink()
    assert 'expected points of 2' in convert.mistake('--other-shapes', 'center')
    text.write_text(text.read_text().replace('"circle"', '"point"'))
    convert('--skip-refused')
    assert 'shapes[0]: point (60.1, 20.5) is outside' in capsys.readouterr().out


def test_options_of_other_formats_are_refused(convert):
    mistake = convert.write('cvat').mistake('--strip-prefix')
    assert mistake == 'points_to_coco.py: error: --strip-prefix: not an option of --format cvat'
    convert.write('csv')
    with pytest.raises(SystemExit, match='csv needs --image-dir'):
        run_tool('points_to_coco', '--format', 'csv', convert.source, convert.out)


@pytest.mark.parametrize('name', ['csv', 'labelme'])
def test_the_source_is_not_replaced(convert, name):
    text = convert.write(name).text
    old = text.read_bytes()
    link = convert.source.with_name('link')
    link.symlink_to(text)
    for out in (text, link, convert.source):
        convert.out = out
        with pytest.raises(SystemExit, match='error: .*: expected a file outside of the source'):
            convert()
    assert text.read_bytes() == old


def test_pixel_indices(convert):
    content = convert.write('csv')('--pixel-indices')
    assert content['annotations'][0]['point'] == [11, 21]
    content = convert.write('coco-keypoints')('--no-pixel-indices')
    assert content['annotations'][0]['point'] == [10, 20]


# by format: the place of the click in the error message
CLICK = {
    'labelme': 'a.json: shapes[2]: ',
    'cvat': 'image 0 (a.jpg): points[2]: ',
    'coco-keypoints': 'annotations[2]: ',
    'label-studio': 'tasks[0].annotations[0].result[2]: ',
    'csv': 'source_csv:4: ',
}
CLICKS = {
    'outside': ((60.1, 5.0), 'point (60.1, 5) is outside of a.jpg, 60 x 40 pixels'),
    'on a dog': ((10.5, 20.5), "a background click at (10.5, 20.5) in a.jpg, in the pixel of a 'd"),
}


@pytest.mark.parametrize('name', FORMATS)
@pytest.mark.parametrize('case', CLICKS)
def test_refused_background_clicks(convert, name, case, capsys):
    place, reason = CLICKS[case]
    clicks = [point(*place, 'background'), point(30.0, 30.0, 'background')]
    images = [dataclasses.replace(IMAGES[0], points=[*IMAGES[0].points, *clicks]), IMAGES[1]]
    mistake = convert.write(name, images).mistake('--classes', 'dog', 'cat')
    assert '1 points cannot be used' in mistake
    assert f'{CLICK[name]}{reason}' in mistake
    content = convert('--classes', 'dog', 'cat', '--skip-refused')
    assert content['images'][0]['background_points'] == [pytest.approx([30.0, 30.0])]
    lines = capsys.readouterr().out.splitlines()
    assert lines[:5] == [
        '2 images (0 without points), 3 points',
        '  dog: 2',
        '  cat: 1',
        '1 background clicks',
        '1 points left out:',
    ]


@pytest.mark.parametrize('name', FORMATS)
def test_background_as_a_class(convert, name, capsys):
    images = [dataclasses.replace(IMAGES[0], points=[point(1, 1, 'background')]), IMAGES[1]]
    content = convert.write(name, images)('--classes', 'dog', 'background')
    assert [a['category_id'] for a in content['annotations']] == [2, 1]
    assert 'background_points' not in content['images'][0]
    assert 'click' not in capsys.readouterr().out


def test_background_clicks_alone(convert, capsys):
    images = [dataclasses.replace(IMAGES[0], points=[point(1, 1, 'background')])]
    content = convert.write('csv', images)()
    assert content['images'][0]['background_points'] == [[1, 1]]
    assert content['categories'] == content['annotations'] == []
    assert capsys.readouterr().out.splitlines() == [
        '1 images (1 without points), 0 points',
        '1 background clicks',
        'semantic map values: 0 = background',
    ]


def test_other_tables(convert, capsys):
    """Columns of other names, another encoding, and the table of a tool."""
    convert.write('csv')
    rows = 'Bild;X;Y;Art\na.jpg;10,5;20,5;Größe\n'
    convert.source.write_bytes(rows.encode('cp1252'))
    assert 'points_to_coco.py: error: ' in convert.mistake()
    content = convert('--encoding', 'cp1252', '--columns', 'file=Bild', 'class=Art')
    assert content['annotations'][0]['point'] == [10.5, 20.5]
    assert content['categories'] == [dict(id=1, name='Größe')]
    convert.name = 'makesense'
    convert.source.write_text('dog,60,40,a.jpg,60,40\ncat,3,4,b.jpg,50,30')
    content = convert('--classes', 'cat', 'dog')
    assert [int(value) for value in content['annotations'][0]['point']] == [59, 39]
    with pytest.raises(SystemExit, match='makesense needs --image-dir'):
        run_tool('points_to_coco', '--format', 'makesense', convert.source, convert.out)
    with pytest.raises(SystemExit):
        convert('--columns', 'file')
    assert "expected NAME=COLUMN, got 'file'" in capsys.readouterr().err


def test_nothing_found_is_an_error(convert, capsys):
    images = [dataclasses.replace(image, points=[]) for image in IMAGES]
    mistake = convert.write('labelme', images).mistake()
    assert mistake.endswith(
        'expected a point, got none in 2 images (--allow-empty goes on without)'
    )
    assert str(convert.source) in mistake
    assert convert('--allow-empty')['annotations'] == []
