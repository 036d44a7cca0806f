import json

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from mmp2seg.datasets.layouts import (
    AnnotationCollector,
    complete_folder,
    image_class_line,
    link_or_copy,
    numeric_image_ids,
    read_index_png,
    voc_palette,
    write_lines,
    write_palette_png,
    write_point_txt,
)


def test_complete_folder_appears_at_the_end(tmp_path):
    root = tmp_path / 'a' / 'data'
    with complete_folder(root) as folder:
        (folder / 'file').write_text('x')
        assert not root.exists()
    assert (root / 'file').read_text() == 'x'
    assert [path.name for path in root.parent.iterdir()] == ['data']


def test_complete_folder_vanishes_on_an_error(tmp_path):
    (tmp_path / 'data').mkdir()
    (tmp_path / 'data' / 'old').write_text('x')
    with (
        pytest.raises(RuntimeError, match='stop'),
        complete_folder(tmp_path / 'data', overwrite=True) as folder,
    ):
        (folder / 'new').write_text('y')
        raise RuntimeError('stop')
    assert [path.name for path in tmp_path.iterdir()] == ['data']
    assert [path.name for path in (tmp_path / 'data').iterdir()] == ['old']


def test_complete_folder_overwrites_on_demand_only(tmp_path):
    root = tmp_path / 'data'
    root.mkdir()
    with complete_folder(root) as folder:  # an empty folder is no loss
        (folder / 'first').touch()
    with (
        pytest.raises(FileExistsError, match='data: the folder is not empty'),
        complete_folder(root),
    ):
        pass
    with complete_folder(root, overwrite=True) as folder:
        (folder / 'second').touch()
    assert [path.name for path in root.iterdir()] == ['second']
    assert [path.name for path in tmp_path.iterdir()] == ['data']
    with (
        pytest.raises(FileExistsError, match='second: expected a folder, got a file'),
        complete_folder(root / 'second', overwrite=True),
    ):
        pass


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


def test_point_file_has_pixel_indices(tmp_path):
    path = tmp_path / 'points.txt'
    write_point_txt(path, np.float32([[0.5, 2.5], [300.5, 7.75]]), np.array([3, 0]))
    assert path.read_text() == '0 2 3 1\n300 7.25 0 1\n'
    write_point_txt(path, np.zeros((0, 2)), [])
    assert path.read_text() == ''


def test_lists(tmp_path):
    write_lines(tmp_path / 'new' / 'list.txt', ['a', 'b'])
    assert (tmp_path / 'new' / 'list.txt').read_text() == 'a\nb\n'
    assert image_class_line('2007_000032', np.array([14, 0, 14])) == '2007_000032 0 14'
    assert image_class_line('empty', []) == 'empty'


@pytest.mark.parametrize(
    ('names', 'ids'),
    [
        (['000032', '7'], [32, 7]),
        (['2007_000032', '2008_000001'], [2007000032, 2008000001]),
        (['a', '7'], [1, 2]),
        (['07', '7'], [1, 2]),
        ([], []),
    ],
)
def test_numeric_image_ids(names, ids):
    assert numeric_image_ids(names) == ids


def test_annotations_of_two_images(tmp_path):
    collector = AnnotationCollector(('cat', 'dog'), description='two')
    instance_map = np.array([[1, 1, 0], [0, 2, 2]], np.int32)
    collector.add(
        image_id=4,
        file_name='4.jpg',
        instance_map=instance_map,
        labels=np.array([1, 0]),
        points_xy=np.float32([[0.5, 0.5], [2.5, 1.5]]),
    )
    collector.add(
        image_id=9,
        file_name='9.jpg',
        instance_map=np.zeros((5, 6), np.int32),
        labels=np.zeros(0, np.int64),
        points_xy=np.zeros((0, 2), np.float32),
    )
    collector.write_points(tmp_path / 'deep' / 'points.json')
    collector.write_instances(tmp_path / 'instances.json')
    points = json.loads((tmp_path / 'deep' / 'points.json').read_text())
    assert points == dict(
        info=dict(description='two'),
        images=[
            dict(id=4, file_name='4.jpg', height=2, width=3),
            dict(id=9, file_name='9.jpg', height=5, width=6),
        ],
        categories=[dict(id=1, name='cat'), dict(id=2, name='dog')],
        annotations=[
            dict(id=1, image_id=4, category_id=2, point=[0.5, 0.5]),
            dict(id=2, image_id=4, category_id=1, point=[2.5, 1.5]),
        ],
    )
    truth = json.loads((tmp_path / 'instances.json').read_text())
    second = truth['annotations'][1]
    assert isinstance(second['segmentation']['counts'], str)
    np.testing.assert_array_equal(coco_mask.decode(second['segmentation']), instance_map == 2)
    assert second['bbox'] == [1, 1, 2, 1]
    assert (second['area'], second['iscrowd'], second['point']) == (2, 0, [2.5, 1.5])


def test_link_or_copy(tmp_path):
    (tmp_path / 'folder').mkdir()
    (tmp_path / 'folder' / 'file').write_text('x')
    link_or_copy(tmp_path / 'folder', tmp_path / 'out' / 'link')
    link_or_copy(tmp_path / 'folder', tmp_path / 'out' / 'copy', copy=True)
    link_or_copy(tmp_path / 'folder' / 'file', tmp_path / 'out' / 'file', copy=True)
    assert (tmp_path / 'out' / 'link').is_symlink()
    assert not (tmp_path / 'out' / 'copy').is_symlink()
    for path in ('link/file', 'copy/file', 'file'):
        assert (tmp_path / 'out' / path).read_text() == 'x'
    with pytest.raises(FileNotFoundError, match='missing'):
        link_or_copy(tmp_path / 'missing', tmp_path / 'out' / 'none')
