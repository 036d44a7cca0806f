import zlib

import cv2
import mmcv
import numpy as np
import pytest
from PIL import Image

from mmp2seg.files.image_reading import bad_image, read_rgb


def gradient(height=20, width=30):
    return np.linspace(0, 255, height * width).reshape(height, width)


@pytest.mark.parametrize('mode', ['L', 'RGB', 'RGBA', 'LA', 'P', '1'])
def test_images_of_8_bits_are_those_of_mmcv(tmp_path, mode):
    path = tmp_path / 'a.png'
    Image.fromarray(gradient().astype(np.uint8)).convert('RGB').convert(mode).save(path)
    image = read_rgb(path)
    assert image.shape == (20, 30, 3) and image.dtype == np.uint8 and image.flags.c_contiguous
    assert np.array_equal(image, mmcv.imread(path, channel_order='rgb'))


def test_channels_are_red_green_blue(tmp_path):
    Image.new('RGB', (2, 1), (250, 100, 3)).save(tmp_path / 'a.png')
    assert read_rgb(tmp_path / 'a.png')[0, 0].tolist() == [250, 100, 3]


def test_exif_rotation_is_applied(tmp_path):
    image = Image.fromarray(gradient().astype(np.uint8))
    exif = image.getexif()
    exif[0x0112] = 6  # rotated by 90 degrees
    image.save(tmp_path / 'a.jpg', exif=exif)
    assert read_rgb(tmp_path / 'a.jpg').shape == (30, 20, 3)


@pytest.mark.parametrize('scale', [1, 16, 257])
def test_images_of_16_bits_fill_the_range(tmp_path, scale):
    path = tmp_path / 'a.png'
    cv2.imwrite(str(path), np.minimum(100 + gradient() * scale, 65535).astype(np.uint16))
    image = read_rgb(path)
    assert image.dtype == np.uint8 and image.shape == (20, 30, 3)
    assert image.min() == 0 and image.max() == 255
    assert np.abs(image[..., 0] - gradient()).max() <= 2


def test_a_hot_pixel_does_not_make_an_image_black(tmp_path):
    values = np.tile(gradient().astype(np.uint16), (5, 5))
    values[3, 3] = 65535
    cv2.imwrite(str(tmp_path / 'a.png'), values)
    assert np.median(read_rgb(tmp_path / 'a.png')) > 100


@pytest.mark.parametrize('value', [0, 900])
def test_a_constant_image_of_16_bits(tmp_path, value):
    cv2.imwrite(str(tmp_path / 'a.png'), np.full((4, 5), value, np.uint16))
    assert not read_rgb(tmp_path / 'a.png').any()


def test_float_images_of_three_channels(tmp_path):
    values = np.stack([gradient() / 255] * 3, -1).astype(np.float32)
    values[0, 0], values[0, 1] = np.nan, np.inf
    cv2.imwrite(str(tmp_path / 'a.pfm'), values)
    image = read_rgb(tmp_path / 'a.pfm')
    assert image.dtype == np.uint8 and image.shape == (20, 30, 3)
    assert np.abs(image[1:, :, 0] - gradient()[1:]).max() <= 2


@pytest.mark.parametrize('content', [b'', b'no image', b'\x89PNG\r\n\x1a\n'])
def test_what_is_no_image_is_an_error_that_names_the_file(tmp_path, content):
    (tmp_path / 'a.png').write_bytes(content)
    with pytest.raises(ValueError, match=r'a\.png: expected an image, got an? (empty )?file'):
        read_rgb(tmp_path / 'a.png')


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'gone\.png: no such file'):
        read_rgb(tmp_path / 'gone.png')


def test_folders_and_what_would_fill_the_memory(tmp_path):
    with pytest.raises(ValueError, match=r'expected an image, Is a directory'):
        read_rgb(tmp_path)
    png = tmp_path / 'a.png'
    cv2.imwrite(str(png), np.zeros((4, 5), np.uint8))
    content = png.read_bytes()
    header = b'IHDR' + (60_000).to_bytes(4, 'big') * 2 + content[24:29]
    png.write_bytes(content[:12] + header + zlib.crc32(header).to_bytes(4, 'big') + content[33:])
    with pytest.raises(ValueError, match=r'a\.png: .* got one of more than 178956970 pixels'):
        read_rgb(png)


def test_errors_of_decoders_become_one_line():
    error = ValueError('first line\nsecond line')
    assert bad_image('a.png', error) == 'a.png: expected an image, first line'
    assert bad_image('a.png', KeyError()) == 'a.png: expected an image, KeyError'
