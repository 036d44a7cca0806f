import numpy as np
import pytest
from PIL import Image

from mmp2seg.files.index_png import read_index_png, voc_palette, write_palette_png


def test_palette_is_that_of_voc():
    palette = voc_palette()
    assert palette[:5].tolist() == [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0], [0, 0, 128]]
    assert palette[20].tolist() == [0, 64, 128]
    assert palette[255].tolist() == [224, 224, 192]


def test_index_png_round_trip(tmp_path):
    index_map = np.array([[0, 1, 255], [20, 3, 254]], np.uint8)
    write_palette_png(tmp_path / 'map.png', index_map)
    np.testing.assert_array_equal(read_index_png(tmp_path / 'map.png'), index_map)
    with Image.open(tmp_path / 'map.png') as image:
        assert image.mode == 'P'
        assert image.convert('RGB').getpixel((1, 0)) == (128, 0, 0)
    Image.fromarray(index_map).save(tmp_path / 'grey.png')
    np.testing.assert_array_equal(read_index_png(tmp_path / 'grey.png'), index_map)


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
