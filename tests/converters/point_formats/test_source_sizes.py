import mmcv
import pytest
from PIL import Image

from mmp2seg.converters.point_formats.source_sizes import base_name, check_sizes, size_from_file
from mmp2seg.converters.point_json import SourceImage


def source(name, height, width):
    return SourceImage(name, height, width, [], 'a.json')


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
    with pytest.raises(ValueError, match='w: no size of a.png in the file, expected an image_dir'):
        size_from_file('a.png', image_dir=None, where='w')


def test_turned_by_exif_as_training_reads_it(tmp_path):
    image = Image.new('RGB', (6, 4))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / 'a.jpg', exif=exif)
    size = size_from_file('a.jpg', image_dir=tmp_path, where='w')
    assert size == mmcv.imread(str(tmp_path / 'a.jpg')).shape[:2] == (6, 4)
