import errno
import json
import os
import stat
import subprocess
import time

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


def full_disk(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_errors_name_the_file_and_not_the_temporary_one(tmp_path, monkeypatch):
    (tmp_path / 'file').touch()
    with pytest.raises(OSError, match='') as info:
        write_text(tmp_path / 'file' / 'a.txt', 'x')
    assert info.value.filename == str(tmp_path / 'file')
    with pytest.raises(IsADirectoryError) as info:
        write_text(tmp_path, 'x')
    assert info.value.filename == str(tmp_path)
    with pytest.raises(FileNotFoundError) as info, atomic_write.replaced_file(tmp_path / 'b'):
        open(tmp_path / 'gone')  # noqa: SIM115 - another file: its name stays
    assert info.value.filename == str(tmp_path / 'gone')
    monkeypatch.setattr(atomic_write.os, 'fsync', full_disk)
    with pytest.raises(OSError, match='No space left') as info:
        write_text(tmp_path / 'a.txt', 'x')
    assert info.value.filename == str(tmp_path / 'a.txt')
    assert os.listdir(tmp_path) == ['file']


@pytest.fixture
def ended():
    """The number of a process that has ended."""
    process = subprocess.Popen(['true'])
    process.wait()
    return process.pid


def test_the_rest_of_a_killed_process_is_removed(tmp_path, ended):
    machine = atomic_write.process_tag().partition('-')[0]
    names = {
        f'.a.json.{machine}-{ended}.tmp': False,
        f'.a.json.{machine}-{os.getppid()}.tmp': True,  # it is alive
        f'.b.json.00000000-{ended}.tmp': True,  # of another machine
        f'.old.json.00000000-{ended}.tmp': False,  # of another machine, two days ago
        f'.c.json.{machine}-{10**30}.tmp': True,  # no process has this number
        '.mine.tmp': True,
    }
    for name in names:
        (tmp_path / name).touch()
        if name.startswith('.old'):
            os.utime(tmp_path / name, (0, time.time() - 2 * 24 * 3600))
    write_text(tmp_path / 'new.txt', 'x')
    kept = {name for name, is_kept in names.items() if is_kept}
    assert set(os.listdir(tmp_path)) == {'new.txt', *kept}


def test_a_folder_is_searched_once(tmp_path, ended):
    write_text(tmp_path / 'a', 'x')
    rest = tmp_path / f'.a.{atomic_write.process_tag().partition("-")[0]}-{ended}.tmp'
    rest.touch()
    write_text(tmp_path / 'b', 'x')
    assert rest.exists()
