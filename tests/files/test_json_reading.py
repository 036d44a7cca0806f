import math

import pytest

from mmp2seg.files.json_reading import (
    is_finite_number,
    is_integer,
    read_json,
    read_json_object,
    require_keys,
)


def test_reads_an_object(tmp_path):
    (tmp_path / 'a.json').write_text('{"images": [], "x": 1}')
    assert read_json_object(tmp_path / 'a.json', lists=['images']) == {'images': [], 'x': 1}


@pytest.mark.parametrize(
    'content, message',
    [
        (b'{"images": [1,\n 2', r'a\.json: invalid json, line 2 column 3'),
        (b'\xffa', r'a\.json: expected text in UTF-8, .* 0xff in line 1'),
        (b'[]', r'a\.json: expected a json object, got a list'),
        (b'{}', r"a\.json: expected a list 'images', got None"),
        (b'{"images": {"id": 1}}', r"a\.json: expected a list 'images', got \{'id': 1\}"),
        (b'[' * 100_000, r'a\.json: invalid json, .* nested too deeply'),
        (b'{"a": ' * 100_000, r'a\.json: invalid json, .* nested too deeply'),
        (
            b'{"images":\n [' + b'7' * 5000 + b']}',
            r'a\.json: invalid json, line 2 column 3: an integer of too many digits',
        ),
        (
            b'{"NaN": "Infinity \\" NaN",\n "x": [1, NaN]}',
            r'a\.json: invalid json, line 2 column 11: NaN is not a number',
        ),
        (b'[-Infinity]', r'a\.json: invalid json, line 1 column 2: -Infinity is not a number'),
        (
            b'{"images": [{"id": 1, "point": [1, 2], "point": [3, 4]}]}',
            r"a\.json: invalid json, expected each key once, got 'point' twice in \{'id': 1",
        ),
    ],
)
def test_errors_name_file_and_place(tmp_path, content, message):
    (tmp_path / 'a.json').write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_json_object(tmp_path / 'a.json', lists=['images'])


def test_a_mark_at_the_beginning_is_read_over(tmp_path):
    (tmp_path / 'a.json').write_text('{"x": "é"}', encoding='utf-8-sig')
    assert read_json(tmp_path / 'a.json') == {'x': 'é'}


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'a\.json: there is no such file'):
        read_json_object(tmp_path / 'a.json')


def test_require_keys():
    require_keys('a.json', 'images', [{'id': 1, 'more': 2}], ['id'])
    require_keys('a.json', 'images', [], ['id'])
    with pytest.raises(ValueError, match=r"a\.json: images\[1\] lacks \['id'\]"):
        require_keys('a.json', 'images', [{'id': 1}, {}], ['id'])
    with pytest.raises(ValueError, match=r'a\.json: images\[0\]: expected an object, got 7'):
        require_keys('a.json', 'images', [7], ['id'])


def test_dropped_keys_are_never_held(tmp_path):
    path = tmp_path / 'a.json'
    path.write_text('{"a": [{"id": 1, "mask": [1]}, {"b": {"mask": 2, "c": 3}}], "mask": 4}')
    assert read_json(path, drop=('mask',)) == {'a': [{'id': 1}, {'b': {'c': 3}}]}
    assert read_json(path)['mask'] == 4


def test_what_python_writes_can_be_allowed(tmp_path):
    (tmp_path / 'a.json').write_text('{"loss": NaN}')
    assert math.isnan(read_json(tmp_path / 'a.json', allow_nan=True)['loss'])


def test_integers():
    assert all(map(is_integer, (0, -(2**63), 2**63 - 1)))
    assert not any(map(is_integer, (2**63, True, 1.0, '1', None)))


def test_finite_numbers():
    assert all(map(is_finite_number, (0, -1.5, 10**300)))
    others = (float('nan'), float('inf'), 10**400, True, '1', None, [1])
    assert not any(map(is_finite_number, others))


def test_objects_with_a_key_keep_all(tmp_path):
    path = tmp_path / 'a.json'
    path.write_text('{"a": [{"id": 1, "mask": 2}, {"id": 3, "mask": 4, "kind": "true"}]}')
    found = read_json_object(path, lists=('a',), drop=('mask',), unless='kind')
    assert found == {'a': [{'id': 1}, {'id': 3, 'mask': 4, 'kind': 'true'}]}
