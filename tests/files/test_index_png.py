import io
import struct
import zlib

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
        (Image.fromarray(np.full((2, 2), 256, np.uint16)), r'0\.\.255, got 256 .*\(mode I;16\)'),
        (Image.fromarray(voc_palette()[INDEX_MAP]), "VOC's palette: conv.*maps.py --from-palette$"),
        (Image.new('RGB', (2, 2), (1, 2, 3)), "VOC's palette: convert it with .* --labelmap"),
    ],
)
def test_what_is_no_map_of_numbers_is_refused_with_advice(image, message):
    with pytest.raises(ValueError, match=f'map.png: expected .*{message}'):
        decode_index_map(saved(image), where='map.png')


def png(depth, kind, values):
    """A PNG of 1 row with samples of the given depth and colour type, as they are stored."""
    bits = ''.join(f'{value:0{depth}b}' for value in values)
    bits += '0' * (-len(bits) % 8)
    row = b'\0' + int(bits, 2).to_bytes(len(bits) // 8, 'big')
    width = len(values) // {0: 1, 2: 3, 3: 1, 4: 2}[kind]
    chunks = [(b'IHDR', struct.pack('>IIBBBBB', width, 1, depth, kind, 0, 0, 0))]
    if kind == 3:
        chunks.append((b'PLTE', bytes(3 * 2**depth)))
    chunks += [(b'IDAT', zlib.compress(row)), (b'IEND', b'')]
    return b'\x89PNG\r\n\x1a\n' + b''.join(
        struct.pack('>I', len(data)) + name + data + struct.pack('>I', zlib.crc32(name + data))
        for name, data in chunks
    )


@pytest.mark.parametrize('kind', [0, 3])
@pytest.mark.parametrize('depth', [1, 2, 4, 8, 16])
def test_values_are_those_stored_at_any_depth(depth, kind):
    if (depth, kind) == (16, 3):
        return  # not in the format
    values = list(range(min(2**depth, 256)))
    found = decode_index_map(png(depth, kind, values), where='map.png')
    assert found.dtype == np.uint8
    assert found.tolist() == [values]


def test_alpha_is_no_value():
    data = png(8, 4, [0, 255, 1, 255, 7, 0])
    assert decode_index_map(data, where='map.png').tolist() == [[0, 1, 7]]


@pytest.mark.parametrize(('kind', 'mode'), [(2, 'RGB'), (4, 'grey with alpha')])
@pytest.mark.parametrize('colours', [None, {(0, 0, 0): 0}])
def test_16_bits_that_pillow_cuts_are_refused(kind, mode, colours):
    data = png(16, kind, [1] * 6)
    with pytest.raises(ValueError, match=f'map.png: .* got mode {mode} of 16 bits; save it as'):
        decode_index_map(data, where='map.png', colours=colours)


def test_32_bits_count_as_stored_or_not_at_all():
    data = saved(Image.fromarray(np.array([[0, 255]], np.int32)), suffix='TIFF')
    assert decode_index_map(data, where='map.tif').tolist() == [[0, 255]]
    data = saved(Image.fromarray(np.array([[0, -1]], np.int32)), suffix='TIFF')
    with pytest.raises(ValueError, match=r'map.tif: expected numbers .*, got -1 .* \(mode I\)'):
        decode_index_map(data, where='map.tif')
    data = saved(Image.fromarray(np.ones((1, 2), np.float32)), suffix='TIFF')
    with pytest.raises(ValueError, match=r'map.tif: .* got mode F; save it as 8-bit grey'):
        decode_index_map(data, where='map.tif')


@pytest.mark.parametrize('suffix', ['TIFF', 'PPM'])
def test_other_formats_of_few_bits_are_refused(suffix):
    data = saved(Image.new('1', (2, 2), 1), suffix=suffix)
    with pytest.raises(ValueError, match=f'map: .* mode 1 of another depth in a {suffix}; save'):
        decode_index_map(data, where='map')


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


@pytest.mark.parametrize('mode', ['RGB', 'RGBA', 'P'])
def test_colours_of_a_table(mode):
    table = {(0, 0, 0): 0, (48, 112, 32): 1, (255, 255, 255): 255, (0, 0, 1): 7}
    colours = np.array([[(48, 112, 32), (0, 0, 0)], [(0, 0, 1), (255, 255, 255)]], np.uint8)
    image = Image.fromarray(colours)
    image = (
        image.convert('P', palette=Image.Palette.ADAPTIVE) if mode == 'P' else image.convert(mode)
    )
    found = decode_index_map(saved(image), where='map.png', colours=table)
    assert found.tolist() == [[1, 0], [7, 255]]
    del table[0, 0, 1]
    message = r'map.png: expected the colours \(0, 0, 0\) .*, got \(0, 0, 1\)'
    with pytest.raises(ValueError, match=message):
        decode_index_map(saved(image), where='map.png', colours=table)


def test_a_grey_mask_has_colours_too():
    table = {(0, 0, 0): 0, (255, 255, 255): 1}
    data = saved(Image.fromarray(np.array([[0, 255]], np.uint8)))
    assert decode_index_map(data, where='', colours=table).tolist() == [[0, 1]]
