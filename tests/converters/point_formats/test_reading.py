import dataclasses

import mmcv
import pytest
from PIL import Image

from mmp2seg.converters.point_formats.reading import (
    ImageNames,
    base_name,
    check_choice,
    check_sizes,
    collected,
    locate_images,
    relative_name,
    size_from_file,
    takes_center,
    written_classes,
)
from mmp2seg.converters.point_json import SourceImage, SourcePoint

BOX = dict(centered=('box', 'circle'), where='a.json: shapes[3]')


def source(name, height, width):
    return SourceImage(name, height, width, [], 'a.json')


def test_takes_center():
    assert takes_center('box', other_shapes='center', **BOX)
    assert not takes_center('box', other_shapes='skip', **BOX)
    assert not takes_center('polygon', other_shapes='skip', **BOX)
    with pytest.raises(ValueError, match=r'shapes\[3\]: expected a point, got a box \('):
        takes_center('box', other_shapes='error', **BOX)
    with pytest.raises(ValueError, match=r'shapes\[3\]: expected a dot or box or circle, got a po'):
        takes_center('polygon', other_shapes='center', point='dot', **BOX)


def test_other_shapes_name_the_option_that_helps():
    skip = '--other-shapes skip leaves it out'
    with pytest.raises(ValueError, match=rf'\({skip}, --other-shapes center takes its centre\)$'):
        takes_center('box', other_shapes='error', **BOX)
    for other_shapes in ('error', 'center'):
        with pytest.raises(ValueError, match=rf'got a polygon \({skip}\)$'):
            takes_center('polygon', other_shapes=other_shapes, **BOX)


def test_check_choice():
    check_choice('annotation', 'a', ('a', 'b'))
    with pytest.raises(ValueError, match=r"annotation to be one of \('a', 'b'\), got 'c'"):
        check_choice('annotation', 'c', ('a', 'b'))


def test_base_name():
    assert base_name('a.jpg') == base_name('../x/a.jpg') == base_name('..\\x\\a.jpg') == 'a.jpg'
    assert base_name('x/') == ''


def test_check_sizes(tmp_path):
    Image.new('RGB', (6, 4)).save(tmp_path / 'a.png')
    check_sizes([source('a.png', 4, 6)], image_dir=tmp_path)
    check_sizes([source('other.png', 9, 9)], image_dir=None)
    with pytest.raises(ValueError, match=r'a.json: expected 4 x 6 pixels .* got 6 x 4 in .*a.png'):
        check_sizes([source('a.png', 6, 4)], image_dir=tmp_path)
    with pytest.raises(FileNotFoundError, match=r'a.json: .*b.png'):
        check_sizes([source('b.png', 4, 6)], image_dir=tmp_path)
    (tmp_path / 'c.png').write_text('no image')
    with pytest.raises(ValueError, match=r'a.json: .*c.png: expected an image'):
        check_sizes([source('c.png', 4, 6)], image_dir=tmp_path)


def test_size_from_file(tmp_path):
    Image.new('L', (6, 4)).save(tmp_path / 'a.png')
    assert size_from_file('a.png', image_dir=tmp_path, where='w') == (4, 6)
    with pytest.raises(
        ValueError, match='w: expected the size of a.png, got none .--image-dir DIR'
    ):
        size_from_file('a.png', image_dir=None, where='w')


def test_sizes_follow_the_exif_rotation_as_in_training(tmp_path):
    image = Image.new('RGB', (6, 4))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / 'a.jpg', exif=exif)
    size = size_from_file('a.jpg', image_dir=tmp_path, where='w')
    assert size == mmcv.imread(str(tmp_path / 'a.jpg')).shape[:2] == (6, 4)


def test_relative_name():
    assert relative_name('./a\\..\\b//c.jpg', where='a.csv:2') == 'b/c.jpg'
    for name in ('../a.jpg', '/a.jpg', 'C:\\a.jpg', 'a/../..', '.'):
        with pytest.raises(ValueError, match=r'^a.csv:2: expected a file in the image folder, got'):
            relative_name(name, where='a.csv:2')


def test_written_classes():
    points = [SourcePoint(1, 1, label, '') for label in ('dog', 'cat', 'dog')]
    clicks = [SourcePoint(2, 2, 'background', '')]
    plain = SourceImage('a.png', 4, 6, points, '')
    clicked = dataclasses.replace(plain, background_points=clicks)
    assert written_classes([plain], None) == ['cat', 'dog']
    assert written_classes([plain], ['dog', 'cow']) == ['dog', 'cow']
    assert written_classes([plain, clicked], None) == ['cat', 'dog', 'background']
    assert written_classes(iter([clicked]), ('dog', 'cow')) == ['dog', 'cow', 'background']


def test_names_of_images_on_disk(tmp_path):
    for name in ('sub/a.png', 'b.PNG', '.c.png', '0a1b2c3d-d.png', 'e.png'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new('L', (6, 4)).save(tmp_path / name, format='png')
    names = ImageNames(tmp_path)
    assert [
        names.find(name, where='w')
        for name in ('sub\\a.png', 'sub/a', 'b', '0a1b2c3d-d.png', '0a1b2c3d-e.png', '0a1b2c3d-e')
    ] == ['sub/a.png', 'sub/a.png', 'b.PNG', '0a1b2c3d-d.png', 'e.png', 'e.png']
    assert names.find('gone\\x', where='w') == 'gone/x'
    assert names.find('.c', where='w') == '.c'  # hidden


def test_images_are_located(tmp_path):
    Image.new('L', (6, 4)).save(tmp_path / 'a.png')
    unsized = SourceImage('a', None, None, [], 'w')
    assert locate_images([unsized], image_dir=tmp_path)[0] == SourceImage('a.png', 4, 6, [], 'w')
    with pytest.raises(ValueError, match='w: expected the size of a, got none'):
        locate_images([unsized], image_dir=None)
    wrong = [SourceImage('gone.png', 4, 6, [], 'w'), SourceImage('a.png', 4, 7, [], 'w')]
    for image in wrong:
        with pytest.raises((FileNotFoundError, ValueError)):
            locate_images([image], image_dir=tmp_path)
    reasons = [i.missing for i in locate_images(wrong, image_dir=tmp_path, skip_refused=True)]
    assert 'no such file' in reasons[0] and 'got 6 x 4' in reasons[1]


def test_errors_are_collected_on_request():
    lines = []
    with collected(lines, skip=True):
        raise ValueError('a: wrong')
    assert lines == ['a: wrong']
    with pytest.raises(ValueError, match='b: wrong'), collected(lines, skip=False):
        raise ValueError('b: wrong')
    with pytest.raises(KeyError), collected(lines, skip=True):
        raise KeyError
