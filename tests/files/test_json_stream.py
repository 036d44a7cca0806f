import json

import pytest

from mmp2seg.files import json_stream
from mmp2seg.files.atomic_write import write_json
from mmp2seg.files.json_reading import read_json_object
from mmp2seg.files.json_stream import (
    read_json_without,
    stream_json_object,
    write_json_object,
)

CONTENT = {
    'info': {'a, ]': ['}', 1.5]},
    'images': [{'id': 1, 'name': 'é"]}'}, {}, [], 'x', 12, -1.25e-7, None, True],
    'numbers': 12.5,
    'annotations': [],
    'end': 1e30,
}


def collect(path, **options):
    content = {}
    for key, index, value in stream_json_object(path, **options):
        if index is None:
            content[key] = value
        else:
            assert len(content.setdefault(key, [])) == index
            content[key].append(value)
    return content


@pytest.mark.parametrize('chunk', [1, 2, 3, 7, 2**20])
@pytest.mark.parametrize('indent', [None, 1])
@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig'])
def test_the_content_does_not_depend_on_the_chunks(tmp_path, monkeypatch, chunk, indent, encoding):
    monkeypatch.setattr(json_stream, '_CHUNK', chunk)
    path = tmp_path / 'a.json'
    path.write_text(json.dumps(CONTENT, indent=indent, ensure_ascii=False), encoding=encoding)
    found = collect(path, lists=('images', 'annotations'))
    assert found == CONTENT
    assert collect(path, lists=('images',), data=path.read_bytes()) == CONTENT


@pytest.mark.parametrize('encoding', ['utf-16', 'utf-8-sig'])
def test_the_encodings_of_other_readers(tmp_path, encoding):
    path = tmp_path / 'a.json'
    path.write_text(json.dumps(CONTENT, ensure_ascii=False), encoding=encoding)
    assert collect(path, lists=('images',)) == CONTENT


@pytest.mark.parametrize('chunk', [1, 2**20])
@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('{"a": [{"x": 1}, {"x": NaN}]}', 'NaN is not a number of json'),
        ('{"a": [-Infinity]}', '-Infinity is not a number of json'),
        ('{"a": [{"x": 1, "x": 2}]}', "expected each key once, got 'x' twice"),
    ],
)
def test_what_the_other_reader_refuses_is_refused(tmp_path, monkeypatch, chunk, text, message):
    monkeypatch.setattr(json_stream, '_CHUNK', chunk)
    path = tmp_path / 'a.json'
    path.write_text(text)
    with pytest.raises(ValueError, match=rf'a\.json: .*{message}'):
        collect(path, lists=('a',))


def test_optional_lists(tmp_path):
    path = tmp_path / 'a.json'
    write_json(path, CONTENT)
    assert collect(path, lists=(), optional=('images', 'gone')) == CONTENT
    with pytest.raises(ValueError, match=r"a\.json: expected a list 'numbers', got 12.5"):
        collect(path, lists=(), optional=('numbers',))


def test_skipped_keys(tmp_path):
    path = tmp_path / 'a.json'
    write_json(path, CONTENT)
    found = collect(path, lists=('annotations',), skip=('images', 'info', 'gone'))
    assert found == {'numbers': 12.5, 'annotations': [], 'end': 1e30}
    without = read_json_without(path, ['images'])
    assert without == {key: value for key, value in CONTENT.items() if key != 'images'}


@pytest.mark.parametrize(
    'text',
    [
        b'', b'[1]', b'{"a": [1, 2}', b'{"a": [1 2]}', b'{"a": [1,]}', b'{"a": [1],}', b'{"a" [1]}',
        b'{"a": [1]} x', b'{"a": [1]', b'{"a": 1}', b'{"b": [1]}', b'{"a": ["\xe9"]}', b'{1: [2]}',
        b'{"a": [1.]}', b'{"a": [nul]}',
    ],
)  # fmt: skip
@pytest.mark.parametrize('chunk', [1, 2**20])
def test_errors_are_those_of_reading_at_once(tmp_path, monkeypatch, text, chunk):
    monkeypatch.setattr(json_stream, '_CHUNK', chunk)
    path = tmp_path / 'a.json'
    path.write_bytes(text)
    with pytest.raises(ValueError, match='a.json: ') as expected:
        read_json_object(path, lists=('a',))
    with pytest.raises(ValueError, match='a.json: ') as found:
        collect(path, lists=('a',))
    assert str(found.value) == str(expected.value)


def test_a_missing_file_and_a_key_given_twice(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'gone\.json: there is no such file'):
        collect(tmp_path / 'gone.json', lists=())
    (tmp_path / 'a.json').write_text('{"a": [1], "a": [2]}')
    with pytest.raises(ValueError, match="a.json: expected each key once, got 'a' twice"):
        collect(tmp_path / 'a.json', lists=('a',))


def test_an_entry_is_read_when_it_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(json_stream, '_CHUNK', 1)
    (tmp_path / 'a.json').write_text('{"a": [1, 2, nonsense')
    entries = stream_json_object(tmp_path / 'a.json', lists=('a',))
    assert [next(entries), next(entries)] == [('a', 0, 1), ('a', 1, 2)]


def test_written_as_write_json_does(tmp_path):
    write_json(tmp_path / 'a.json', CONTENT)
    fields = ((key, iter(v) if isinstance(v, list) else v) for key, v in CONTENT.items())
    write_json_object(tmp_path / 'b.json', fields)
    assert (tmp_path / 'a.json').read_bytes() == (tmp_path / 'b.json').read_bytes()


@pytest.mark.parametrize('entry', [float('nan'), {1}])
def test_an_entry_that_is_no_json_leaves_the_old_file(tmp_path, entry):
    path = tmp_path / 'a.json'
    path.write_text('old')
    with pytest.raises((TypeError, ValueError), match='a.json: not written'):
        write_json_object(path, [('a', iter([1, entry]))])
    assert path.read_text() == 'old' and len(list(tmp_path.iterdir())) == 1
