import io

import numpy as np
import pytest
from PIL import Image

from mmp2seg.files.index_png import (
    decode_index_map,
    read_index_png,
    voc_palette,
    write_palette_png,
)

INDEX_MAP = np.array([[0, 1, 255], [20, 3, 254]], np.uint8)


def saved(image, *, suffix='PNG'):
    file = io.BytesIO()
    image.save(file, suffix)
    return file.getvalue()


def test_palette_is_that_of_voc():
    palette = voc_palette()
    assert palette[:5].tolist() == [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0], [0, 0, 128]]
    assert palette[20].tolist() == [0, 64, 128]
    assert palette[255].tolist() == [224, 224, 192]
    assert len(np.unique(palette, axis=0)) == 256


def test_index_png_round_trip(tmp_path):
    path = tmp_path / 'new' / 'map.png'
    write_palette_png(path, INDEX_MAP)
    np.testing.assert_array_equal(read_index_png(path), INDEX_MAP)
    with Image.open(path) as image:
        assert image.mode == 'P'
        assert image.convert('RGB').getpixel((1, 0)) == (128, 0, 0)
    Image.fromarray(INDEX_MAP).save(tmp_path / 'grey.png')
    np.testing.assert_array_equal(read_index_png(tmp_path / 'grey.png'), INDEX_MAP)


def test_unreadable_maps_name_the_file(tmp_path):
    Image.new('RGB', (2, 2)).save(tmp_path / 'colour.png')
    with pytest.raises(ValueError, match='colour.png: expected a palette or grey image, got RGB'):
        read_index_png(tmp_path / 'colour.png')
    write_palette_png(tmp_path / 'whole.png', np.zeros((50, 50), np.uint8))
    data = (tmp_path / 'whole.png').read_bytes()
    for name, content in (('cut.png', data[: len(data) // 2]), ('text.png', b'no image')):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=f'{name}: expected a PNG image'):
            read_index_png(tmp_path / name)
    with pytest.raises(FileNotFoundError, match='missing.png'):
        read_index_png(tmp_path / 'missing.png')


@pytest.mark.parametrize(
    ('image', 'message'),
    [
        (Image.fromarray(np.zeros((2, 2), np.uint16)), r'8 bits, got more \(mode I;16\)'),
        (Image.new('1', (2, 2)), 'of 8 bits, got mode 1'),
        (Image.new('LA', (2, 2)), 'of 8 bits, got mode LA'),
        (Image.fromarray(voc_palette()[INDEX_MAP]), "VOC's palette: conv.*maps.py --from-palette$"),
        (Image.new('RGB', (2, 2), (1, 2, 3)), "some of its colours are not in VOC's palette"),
    ],
)
def test_what_is_no_map_of_numbers_is_refused_with_advice(image, message):
    with pytest.raises(ValueError, match=f'map.png: expected .*{message}'):
        decode_index_map(saved(image), where='map.png')


def test_32_bits_are_refused():
    data = saved(Image.fromarray(np.zeros((2, 2), np.int32)), suffix='TIFF')
    with pytest.raises(ValueError, match=r'map.tif: .* 8 bits, got more \(mode I\); save it as'):
        decode_index_map(data, where='map.tif')


def test_a_format_with_loss_is_refused():
    data = saved(Image.fromarray(INDEX_MAP), suffix='JPEG')
    with pytest.raises(ValueError, match='map.png: expected a PNG image, got a JPEG'):
        decode_index_map(data, where='map.png')


@pytest.mark.parametrize('mode', ['RGB', 'RGBA'])
def test_colours_count_from_the_palette(mode):
    index_map = np.arange(256, dtype=np.uint8).reshape(8, 32)
    image = Image.fromarray(voc_palette()[index_map]).convert(mode)
    decoded = decode_index_map(saved(image), where='map.png', from_palette=True)
    assert decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, index_map)


def test_a_palette_in_another_order_counts_by_its_colours():
    image = Image.fromarray(255 - INDEX_MAP)
    image.putpalette(voc_palette()[::-1].tobytes())
    data = saved(image)
    np.testing.assert_array_equal(decode_index_map(data, where=''), 255 - INDEX_MAP)
    decoded = decode_index_map(data, where='', from_palette=True)
    np.testing.assert_array_equal(decoded, INDEX_MAP)
    grey = saved(Image.fromarray(INDEX_MAP))
    np.testing.assert_array_equal(decode_index_map(grey, where='', from_palette=True), INDEX_MAP)


def test_an_unknown_colour_is_named():
    image = Image.new('RGB', (3, 2), (128, 0, 0))
    image.putpixel((1, 1), (128, 7, 0))
    with pytest.raises(ValueError, match=r"map.png: .*VOC's palette, got \(128, 7, 0\)"):
        decode_index_map(saved(image), where='map.png', from_palette=True)
