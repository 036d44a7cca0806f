from pathlib import PurePath

import cv2
import numpy as np
import pytest
from PIL import Image

from mmp2seg.files.image_folder import (
    find_images,
    find_png_maps,
    image_names,
    image_size,
    is_hidden,
    names_a_file,
    relative_stem,
    shorten_names,
)


def test_images_of_folder_and_subfolders_by_name(tmp_path):
    for name in ('b.JPG', 'sub/a.png', 'a.v2.jpeg', 'notes.txt', '.hidden.png'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    images = find_images(tmp_path)
    assert list(images) == ['a.v2', 'b', 'sub/a']
    assert images['sub/a'] == tmp_path / 'sub' / 'a.png'


def test_folders_that_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match='gone: no such folder'):
        find_images(tmp_path / 'gone')
    with pytest.raises(ValueError, match='expected images .* got none'):
        find_images(tmp_path)
    (tmp_path / 'a.jpg').touch()
    (tmp_path / 'a.png').touch()
    with pytest.raises(ValueError, match=r'a\.png: expected one image .* got .*a\.jpg as well'):
        find_images(tmp_path)


def test_maps_whatever_the_case_of_their_suffix(tmp_path):
    for name in ('b.PNG', 'sub/a.png', 'c.d.Png', 'a.jpg', 'png', '._b.png'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    maps = find_png_maps(tmp_path)
    assert list(maps) == ['b', 'c.d', 'sub/a']
    assert maps['b'] == tmp_path / 'b.PNG'
    assert list(find_png_maps(tmp_path, subfolders=False)) == ['b', 'c.d']


def test_folders_of_maps_that_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match='gone: no such folder'):
        find_png_maps(tmp_path / 'gone')
    (tmp_path / 'a.jpg').touch()
    with pytest.raises(ValueError, match='expected PNG maps, got none'):
        find_png_maps(tmp_path)
    for name in ('a.PNG', 'a.png'):
        (tmp_path / name).touch()
    with pytest.raises(ValueError, match=r'a\.png: expected one map of this name, got .*a\.PNG as'):
        find_png_maps(tmp_path)


def test_relative_stem():
    assert relative_stem('train/a.b.jpg') == 'train/a.b'


NO_FILES = [
    *('../a.jpg', 'a/../../b.jpg', '/etc/a.jpg', '.', '', 'http://a/b.jpg'),
    *('a\nb.jpg', 'a\x00.jpg', '\x1b[2J.jpg', 'a' * 256, 'a/' + 'é' * 128 + '/b.jpg', '\ud800'),
]


@pytest.mark.parametrize('name', NO_FILES)
def test_a_name_does_not_leave_its_folder(name):
    assert not names_a_file(name)
    with pytest.raises(ValueError, match='expected a file in the image folder'):
        relative_stem(name)


@pytest.mark.parametrize('suffix', ['jpg', 'png', 'tif', 'webp'])
@pytest.mark.parametrize('orientation', range(1, 9))
def test_size_is_that_of_the_image_as_training_loads_it(tmp_path, orientation, suffix):
    """Compare with mmcv's decoding from bytes: `cv2.imread` cannot read a rotated TIFF."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f'a.{suffix}'
    Image.new('RGB', (9, 4)).save(path, exif=exif)
    loaded = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    assert image_size(path) == loaded.shape[:2]


def test_what_is_no_image_is_named(tmp_path):
    (tmp_path / 'a.jpg').write_bytes(b'no image')
    with pytest.raises(ValueError, match='a.jpg: expected an image file'):
        image_size(tmp_path / 'a.jpg')
    with pytest.raises(FileNotFoundError, match='b.jpg: no such file'):
        image_size(tmp_path / 'b.jpg')


def test_long_lists_are_shortened():
    names = [str(number) for number in np.arange(12)]
    assert shorten_names(names[:2]) == '0, 1'
    assert shorten_names(names) == '0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more'
    assert shorten_names(['a\n\x1b[2J', 'é\udcff']) == 'a\\n\\x1b[2J, é\\udcff'


def test_names_with_control_characters_are_refused_with_the_folder(tmp_path):
    (tmp_path / 'a\nb.png').touch()
    for find in (find_images, find_png_maps):
        with pytest.raises(ValueError) as error:
            find(tmp_path)
        assert (
            str(error.value) == f"{tmp_path}: expected a file in the image folder, got 'a\\nb.png'"
        )


HIDDEN = ('.a.jpg', '._b.png', '.checkpoints/b.jpg', 'sub/.thumbs/deep/c.png')


def test_what_starts_with_a_dot_is_ignored(tmp_path):
    folder = tmp_path / '.data' / 'images'
    for name in ('b.JPG', 'sub/a.png', 'sub/a.jpg', 'notes.txt', *HIDDEN):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    assert image_names(folder) == ['b.JPG', 'sub/a.jpg', 'sub/a.png']
    assert list(find_png_maps(folder)) == ['sub/a']
    (folder / 'sub/a.jpg').unlink()
    assert list(find_images(folder)) == ['b', 'sub/a']
    assert [is_hidden(PurePath(name)) for name in HIDDEN] == [True] * len(HIDDEN)
    assert not is_hidden(PurePath('a.b/c.png'))
    with pytest.raises(FileNotFoundError, match='gone: no such folder'):
        image_names(tmp_path / 'gone')
