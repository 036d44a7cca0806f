import json

import numpy as np
import pytest

from mmp2seg.converters.remap_maps import (
    read_category_mapping,
    read_mapping_file,
    remap_maps,
)
from mmp2seg.files.index_png import read_index_png, write_palette_png


@pytest.fixture
def source_dir(tmp_path):
    folder = tmp_path / 'ids'
    (folder / 'sub').mkdir(parents=True)
    write_palette_png(folder / 'a.png', np.array([[0, 1, 90], [13, 13, 255]], np.uint8))
    write_palette_png(folder / 'sub' / 'b.png', np.array([[90]], np.uint8))
    return folder


def test_values_and_counts(source_dir, tmp_path):
    report = remap_maps(source_dir, tmp_path / 'out', mapping={1: 1, 13: 2, 90: 3})
    result = read_index_png(tmp_path / 'out/a.png')
    np.testing.assert_array_equal(result, [[0, 1, 3], [2, 2, 255]])
    assert read_index_png(tmp_path / 'out/sub/b.png') == 3
    assert (tmp_path / 'ids/a.png').is_file()
    assert report.num_maps == 2
    assert report.num_pixels == {0: 1, 1: 1, 13: 2, 90: 2, 255: 1}


def test_maps_with_a_suffix_in_capitals(source_dir, tmp_path):
    (source_dir / 'a.png').rename(source_dir / 'a.PNG')
    assert remap_maps(source_dir, tmp_path / 'out', mapping={1: 1, 13: 2, 90: 3}).num_maps == 2
    np.testing.assert_array_equal(read_index_png(tmp_path / 'out/a.png'), [[0, 1, 3], [2, 2, 255]])


def test_background_and_ignore_are_mapped_where_told(source_dir, tmp_path):
    mapping = {0: 255, 255: 0, 1: 0, 13: 0, 90: 0}
    remap_maps(source_dir, tmp_path / 'out', mapping=mapping)
    result = read_index_png(tmp_path / 'out/a.png')
    np.testing.assert_array_equal(result, [[255, 0, 0], [0, 0, 0]])


def test_unknown_values_name_the_file_and_leave_nothing(source_dir, tmp_path):
    with pytest.raises(ValueError, match=r'ids/a\.png: expected a value of the mapping, got 90'):
        remap_maps(source_dir, tmp_path / 'out', mapping={1: 1, 13: 2})
    (source_dir / 'a.png').write_text('broken')
    with pytest.raises(ValueError, match=r'ids/a\.png: expected a PNG image'):
        remap_maps(source_dir, tmp_path / 'out', mapping={90: 1})
    with pytest.raises(FileNotFoundError, match='nowhere: no such folder'):
        remap_maps(tmp_path / 'nowhere', tmp_path / 'out', mapping={})
    assert not (tmp_path / 'out').exists()
    (tmp_path / 'out').mkdir()
    with pytest.raises(ValueError, match='out: expected PNG maps, got none'):
        remap_maps(tmp_path / 'out', tmp_path / 'other', mapping={})
    (tmp_path / 'out/file').touch()
    with pytest.raises(FileExistsError, match='out: the folder is not empty'):
        remap_maps(source_dir, tmp_path / 'out', mapping={})


def test_category_ids_become_their_places(tmp_path):
    path = tmp_path / 'instances.json'
    categories = [dict(id=number, name=f'c{number}') for number in (90, 1, 13)]
    path.write_text(json.dumps(dict(categories=categories)))
    assert read_category_mapping(path) == {1: 1, 13: 2, 90: 3}
    for wrong in (0, 255, 13, '7'):
        path.write_text(json.dumps(dict(categories=[*categories, dict(id=wrong, name='d')])))
        with pytest.raises(ValueError, match=rf'json: categories\[3\]: .*{wrong!r}'):
            read_category_mapping(path)
    path.write_text('{}')
    with pytest.raises(ValueError, match="instances.json: expected a list 'categories'"):
        read_category_mapping(path)


def test_mapping_files(tmp_path):
    path = tmp_path / 'mapping.txt'
    path.write_text('# ids\n1 1\n\n90\t80  # toothbrush\n7 255\n')
    assert read_mapping_file(path) == {1: 1, 90: 80, 7: 255}
    path.write_text('1 2\n', encoding='utf-8-sig')
    assert read_mapping_file(path) == {1: 2}
    for line, message in (
        ('1', r"mapping\.txt:2: expected 'from to', both 0\.\.255, got '1'"),
        ('1 2 3', "expected 'from to'"),
        ('a 2', "expected 'from to'"),
        ('1.5 2', "expected 'from to'"),
        ('256 1', "expected 'from to'"),
        ('1 256', "expected 'from to'"),
        ('-1 0', "expected 'from to'"),
        ('5 7', r'mapping\.txt:2: 5 is already mapped to 6'),
    ):
        path.write_text(f'5 6\n{line}\n')
        with pytest.raises(ValueError, match=message):
            read_mapping_file(path)
    path.write_bytes('1 2  # thé\n'.encode('latin-1'))
    with pytest.raises(ValueError, match=r'mapping\.txt: expected text in UTF-8'):
        read_mapping_file(path)
    path.write_text('# nothing\n')
    with pytest.raises(ValueError, match=r"mapping\.txt: expected lines 'from to', got none"):
        read_mapping_file(path)
    with pytest.raises(FileNotFoundError, match=r'other\.txt'):
        read_mapping_file(tmp_path / 'other.txt')


def test_an_empty_parent_category_is_in_no_map(tmp_path):
    categories = [
        dict(id=1, name='fruits', supercategory='none'),
        dict(id=2, name='apple', supercategory='fruits'),
    ]
    path = tmp_path / 'i.json'
    path.write_text(json.dumps(dict(categories=categories, annotations=[dict(category_id=2)])))
    assert read_category_mapping(path) == {2: 1}
    path.write_text(json.dumps(dict(categories=categories)))  # what is used is not known
    assert read_category_mapping(path) == {1: 1, 2: 2}
