import json
import os
import stat

import pytest

from mmp2seg.files import atomic_write
from mmp2seg.files.atomic_write import write_json, write_text


def test_written_content_reads_back_and_folders_are_made(tmp_path):
    path = tmp_path / 'new' / 'labels.json'
    write_json(path, {'a': [1, 2.5, 'x', None]})
    assert json.loads(path.read_text()) == {'a': [1, 2.5, 'x', None]}
    assert os.listdir(path.parent) == ['labels.json']


@pytest.mark.parametrize(
    'content, error', [({'a': object()}, TypeError), ([float('nan')], ValueError)]
)
def test_failed_serialisation_leaves_the_old_file(tmp_path, content, error):
    path = tmp_path / 'labels.json'
    write_json(path, {'old': 1})
    with pytest.raises(error, match='labels.json: not written'):
        write_json(path, content)
    assert json.loads(path.read_text()) == {'old': 1}
    assert os.listdir(tmp_path) == ['labels.json']


def test_interrupted_write_leaves_the_old_file_and_no_rest(tmp_path, monkeypatch):
    path = tmp_path / 'labels.json'
    write_json(path, {'old': 1})

    def full_disk(file_descriptor):
        raise OSError('no space left')

    monkeypatch.setattr(atomic_write.os, 'fsync', full_disk)
    with pytest.raises(OSError, match='no space left'):
        write_json(path, {'new': 2})
    assert json.loads(path.read_text()) == {'old': 1}
    assert os.listdir(tmp_path) == ['labels.json']


def test_file_is_as_readable_as_any_other(tmp_path):
    other = tmp_path / 'other'
    other.write_text('')
    write_json(tmp_path / 'labels.json', [])
    mode = stat.S_IMODE((tmp_path / 'labels.json').stat().st_mode)
    assert mode == stat.S_IMODE(other.stat().st_mode)


def test_link_keeps_pointing_to_the_file(tmp_path):
    target, link = tmp_path / 'target.json', tmp_path / 'link.json'
    write_json(target, 1)
    link.symlink_to(target)
    write_json(link, 2)
    assert link.is_symlink()
    assert json.loads(target.read_text()) == 2


def test_text_reads_back_and_replaces_the_old_one(tmp_path):
    path = tmp_path / 'new' / 'table.md'
    for text in ('old', '| é |\n'):
        write_text(path, text)
        assert path.read_text(encoding='utf-8') == text
    assert os.listdir(path.parent) == ['table.md']
