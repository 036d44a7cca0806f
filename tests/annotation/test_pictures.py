import io

import cv2
import numpy as np
import pytest
from PIL import Image

from mmp2seg.annotation.pictures import Pictures
from mmp2seg.files.image_reading import read_rgb


def decode(picture):
    return np.asarray(Image.open(io.BytesIO(picture.data)))


def test_small_images_are_exact_in_the_frame_of_the_package(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 4095, (30, 50), np.uint16)
    cv2.imwrite(str(tmp_path / 'deep.tif'), pixels)
    exif = Image.Exif()
    exif[0x0112] = 6  # stored on its side
    Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / 'side.jpg', exif=exif)
    pictures = Pictures(tmp_path)
    for name, size in (('deep.tif', (30, 50)), ('side.jpg', (50, 30))):
        picture = pictures.get(name)
        assert picture.size == size and picture.mime == 'image/png'
        assert (decode(picture) == read_rgb(tmp_path / name)).all()
        assert not Image.open(io.BytesIO(picture.data)).getexif()


def test_large_images(tmp_path):
    values = np.tile(np.linspace(0, 255, 5000).astype(np.uint8), (1200, 1))
    Image.fromarray(values).save(tmp_path / 'large.png')
    picture = Pictures(tmp_path).get('large.png')
    assert picture.size == (1200, 5000) and picture.mime == 'image/jpeg'
    shown = decode(picture)
    assert shown.shape == (983, 4096, 3)
    assert abs(shown[500].astype(int) - cv2.resize(values, (4096, 983))[500][:, None]).max() < 8


def test_the_newest_are_kept_and_follow_the_file(tmp_path, monkeypatch):
    for index in range(6):
        Image.new('RGB', (4, 4 + index)).save(tmp_path / f'{index}.png')
    read = []
    monkeypatch.setattr(
        'mmp2seg.annotation.pictures.read_rgb',
        lambda path: read.append(path.name) or read_rgb(path),
    )
    pictures = Pictures(tmp_path)
    for index in (0, 0, 1, 0, 2, 3, 4, 0, 1):
        pictures.get(f'{index}.png')
    assert read == ['0.png', '1.png', '2.png', '3.png', '4.png', '1.png']
    version = pictures.get('1.png').version
    Image.new('RGB', (9, 9)).save(tmp_path / '1.png')
    assert pictures.get('1.png').size == (9, 9)
    assert pictures.get('1.png').version != version


def test_broken_images(tmp_path):
    (tmp_path / 'a.png').write_text('no image')
    pictures = Pictures(tmp_path)
    with pytest.raises(ValueError, match='a.png: expected an image'):
        pictures.get('a.png')
    with pytest.raises(FileNotFoundError, match='b.png: no such file'):
        pictures.get('b.png')
