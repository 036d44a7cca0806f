import numpy as np
import pytest
from PIL import Image

from mmp2seg.converters.semantic_folder import import_semantic_maps
from mmp2seg.files.index_png import read_index_png, voc_palette, write_palette_png

SIZE = (30, 40)


def true_map(number):
    semantic_map = np.zeros(SIZE, np.uint8)
    semantic_map[4:20, 6:30] = number
    semantic_map[-2:] = 255
    return semantic_map


@pytest.fixture
def folders(tmp_path):
    """Make a folder of three images, one of them in a subfolder, and a folder of their maps."""
    images, maps = tmp_path / 'images', tmp_path / 'maps'
    for number, name in enumerate(('a', 'b', 'sub/c'), start=1):
        for folder in (images, maps):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new('RGB', SIZE[::-1]).save(images / f'{name}.jpg')
        write_palette_png(maps / f'{name}.png', true_map(number))
    return images, maps


def convert(folders, tmp_path, **options):
    images, maps = folders
    options = dict(num_classes=3) | options
    return import_semantic_maps(maps, tmp_path / 'out', image_dir=images, **options)


def read_out(tmp_path, name):
    path = tmp_path / 'out' / f'{name}.png'
    with Image.open(path) as image:
        assert image.mode == 'P' and image.getpalette()[:6] == [0, 0, 0, 128, 0, 0]
    return read_index_png(path)


def test_maps_of_the_images_size_are_kept(folders, tmp_path):
    Image.fromarray(true_map(2)).save(folders[1] / 'b.png')  # grey
    report = convert(folders, tmp_path)
    for number, name in enumerate(('a', 'b', 'sub/c'), start=1):
        np.testing.assert_array_equal(read_out(tmp_path, name), true_map(number))
    assert (report.num_maps, report.num_resized) == (3, 0)
    assert report.missing == report.unused == ()
    assert report.num_pixels.tolist() == [3 * (40 * 28 - 16 * 24), *[16 * 24] * 3, 3 * 80]


@pytest.mark.parametrize('size', [(60, 80), (15, 20), (11, 14)])
def test_maps_of_another_size_are_resized(folders, tmp_path, size):
    small = np.array(Image.fromarray(true_map(1)).resize(size[::-1], Image.Resampling.NEAREST))
    write_palette_png(folders[1] / 'a.png', small)
    report = convert(folders, tmp_path)
    assert report.num_resized == 1
    found = read_out(tmp_path, 'a')
    assert found.shape == SIZE
    assert (found == true_map(1)).mean() > 0.9
    if size == (60, 80):
        np.testing.assert_array_equal(found, true_map(1))


def test_colours_on_request(folders, tmp_path):
    Image.fromarray(voc_palette()[true_map(1)]).save(folders[1] / 'a.png')
    with pytest.raises(ValueError, match=r'a\.png: .* got RGB, .*--from-palette'):
        convert(folders, tmp_path)
    assert not (tmp_path / 'out').exists()
    convert(folders, tmp_path, from_palette=True)
    np.testing.assert_array_equal(read_out(tmp_path, 'a'), true_map(1))
    np.testing.assert_array_equal(read_out(tmp_path, 'b'), true_map(2))


def test_missing_and_unused_maps(folders, tmp_path):
    (folders[1] / 'a.png').rename(folders[1] / 'other.png')
    message = r'maps: .* 3 images, 1 are missing: a \(--allow-missing goes on without them\)$'
    with pytest.raises(FileNotFoundError, match=message):
        convert(folders, tmp_path)
    report = convert(folders, tmp_path, allow_missing=True)
    assert (report.num_maps, report.missing, report.unused) == (2, ('a',), ('other.png',))
    assert not (tmp_path / 'out' / 'a.png').exists()
    report = convert(folders, tmp_path, names=['b', 'sub/c'], overwrite=True)
    assert (report.num_maps, report.missing) == (2, ())
    with pytest.raises(FileNotFoundError, match='no images named absent'):
        convert(folders, tmp_path, names=['absent'], overwrite=True)
    # allow_missing does not help if all maps are missing
    with pytest.raises(FileNotFoundError, match=r'3 are missing: a, b, sub/c$'):
        convert(folders, tmp_path, map_suffix='_x.png', allow_missing=True, overwrite=True)


def test_suffix_of_maps(folders, tmp_path):
    for path in list(folders[1].rglob('*.png')):
        path.rename(path.with_name(f'{path.stem}_mask.png'))
    report = convert(folders, tmp_path, map_suffix='_mask.png')
    assert (report.num_maps, report.unused) == (3, ())
    np.testing.assert_array_equal(read_out(tmp_path, 'sub/c'), true_map(3))


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (np.zeros((40, 30), np.uint8), r'a\.png: expected .*a\.jpg, 40 x 30, got 30 x 40'),
        (np.full(SIZE, 4, np.uint8), r'a\.png: expected 0 .* 1\.\.3 .* got 4'),
        (np.full(SIZE, 300, np.uint16), r'a\.png: expected numbers of 0\.\.255, got 300'),
    ],
)
def test_maps_that_cannot_be_placed(folders, tmp_path, content, message):
    Image.fromarray(content).save(folders[1] / 'a.png')
    with pytest.raises(ValueError, match=message):
        convert(folders, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ['images', 'maps']


def test_broken_files_and_folders(folders, tmp_path):
    convert(folders, tmp_path)
    with pytest.raises(FileExistsError, match='out: the folder is not empty'):
        convert(folders, tmp_path)
    (folders[0] / 'b.jpg').write_bytes(b'no image')
    with pytest.raises(ValueError, match=r'b\.jpg: expected an image file'):
        convert(folders, tmp_path, overwrite=True)
    np.testing.assert_array_equal(read_out(tmp_path, 'b'), true_map(2))  # the old folder is kept
    with pytest.raises(FileNotFoundError, match='nowhere: no such folder'):
        convert((folders[0], tmp_path / 'nowhere'), tmp_path, overwrite=True)


def binary(value=255):
    return np.where(true_map(1) == 1, value, 0).astype(np.uint8)


def test_binary_masks_stop_the_import(folders, tmp_path):
    for name in ('a', 'b', 'sub/c'):
        Image.fromarray(binary()).save(folders[1] / f'{name}.png')
    message = r'maps: no pixel of a class, only 0 and 255 .* --map-values 255=1'
    with pytest.raises(ValueError, match=message):
        convert(folders, tmp_path)
    assert not (tmp_path / 'out').exists()
    report = convert(folders, tmp_path, map_values={255: 1})
    np.testing.assert_array_equal(read_out(tmp_path, 'a'), binary(1))
    assert report.num_pixels.tolist() == [3 * (1200 - 384), 3 * 384, 0, 0, 0]


def test_one_map_of_0_and_255_among_others_is_listed(folders, tmp_path):
    Image.fromarray(binary()).save(folders[1] / 'b.png')
    assert convert(folders, tmp_path).without_class == ('b',)


def test_maps_of_background_alone_are_none_of_these(folders, tmp_path):
    for name in ('a', 'b', 'sub/c'):
        Image.fromarray(binary(0)).save(folders[1] / f'{name}.png')
    assert convert(folders, tmp_path).num_pixels[0] == 3600


def test_colours_of_a_table(folders, tmp_path):
    colours = np.zeros((*SIZE, 3), np.uint8)
    colours[binary() > 0] = 48, 112, 32
    for name in ('a', 'b', 'sub/c'):
        Image.fromarray(colours).save(folders[1] / f'{name}.png')
    convert(folders, tmp_path, colours={(0, 0, 0): 0, (48, 112, 32): 3})
    np.testing.assert_array_equal(read_out(tmp_path, 'sub/c'), binary(3))


def test_hidden_maps_are_not_counted(folders, tmp_path):
    (folders[1] / '._a.png').write_bytes(b'Mac OS X')
    (folders[1] / '.ipynb_checkpoints').mkdir()
    (folders[1] / '.ipynb_checkpoints' / 'a.png').write_bytes(b'')
    assert convert(folders, tmp_path).unused == ()
