import numpy as np
import pytest

from mmp2seg.datasets.voc_layout import (
    image_class_line,
    numeric_image_ids,
    parse_point_line,
    read_image_list,
    write_lines,
    write_point_txt,
)


def test_point_file_has_pixel_indices(tmp_path):
    path = tmp_path / 'points.txt'
    write_point_txt(path, np.float32([[0.5, 2.5], [300.5, 7.75]]), np.array([3, 0]))
    assert path.read_text() == '0 2 3 1\n300 7.25 0 1\n'
    write_point_txt(path, np.zeros((0, 2)), [])
    assert path.read_text() == ''


@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_every_digit_of_a_point_comes_back(tmp_path, dtype):
    rng = np.random.default_rng(0)
    # subtracting 0.5 from a float is exact around 0.5, but not below 0.25
    points_xy = rng.uniform(0, 0.5, (200, 2)).astype(dtype)
    points_xy[100:] = rng.uniform(0, 5000, (100, 2))
    points_xy[0] = 0, np.nextafter(dtype(640), dtype(0))
    write_point_txt(tmp_path / 'points.txt', points_xy, [0] * 200)
    lines = (tmp_path / 'points.txt').read_text().splitlines()
    read = [parse_point_line(line, num_classes=1, where='')[:2] for line in lines]
    np.testing.assert_array_equal(np.array(read).astype(dtype), points_xy)
    np.testing.assert_array_equal(np.array(read), points_xy.astype(np.float64))


def test_point_lines_are_read():
    read = [
        parse_point_line(line, num_classes=3, where='')
        for line in ('12 0 2 1', '-0.5 1e2 0.0', ' 0.25\t7.125  1 0.3 ')
    ]
    assert read == [(12.5, 0.5, 2), (0, 100.5, 0), (0.75, 7.625, 1)]
    assert [type(number) for number in read[0]] == [float, float, int]
    with pytest.raises(ValueError, match=r"a\.txt:3: expected a class 0\.\.2, got '3'"):
        parse_point_line('1 1 3 1', num_classes=3, where='a.txt:3')
    with pytest.raises(ValueError, match=r'a\.txt:3: expected a point of two finite numbers'):
        parse_point_line('1 inf 2 1', num_classes=3, where='a.txt:3')


def test_written_lists(tmp_path):
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


def test_image_lists(tmp_path):
    write_lines(tmp_path / 'list.txt', ['a 1', '', 'b -1'])
    assert read_image_list(tmp_path / 'list.txt') == ['a', 'b']
    (tmp_path / 'marked.txt').write_text('a\nb\n', encoding='utf-8-sig')
    assert read_image_list(tmp_path / 'marked.txt') == ['a', 'b']
    (tmp_path / 'latin.txt').write_bytes('a\nthé\n'.encode('latin-1'))
    with pytest.raises(ValueError, match=r'latin\.txt: expected text in UTF-8'):
        read_image_list(tmp_path / 'latin.txt')
    write_lines(tmp_path / 'twice.txt', ['a', 'b', 'a'])
    with pytest.raises(ValueError, match='twice.txt: expected each image once, got a twice'):
        read_image_list(tmp_path / 'twice.txt')
    write_lines(tmp_path / 'empty.txt', [])
    with pytest.raises(ValueError, match='empty.txt: expected at least one image'):
        read_image_list(tmp_path / 'empty.txt')


@pytest.mark.parametrize('name', ['../../a', '/tmp/a', 'a/../b'])
def test_an_image_list_names_no_file_elsewhere(tmp_path, name):
    (tmp_path / 'list.txt').write_text(f'b\n{name}\n')
    with pytest.raises(ValueError, match=r'list\.txt: expected names of images in the'):
        read_image_list(tmp_path / 'list.txt')
