import errno
import os
import resource
import subprocess

import pytest

from mmp2seg.files import folders
from mmp2seg.files.atomic_write import process_tag
from mmp2seg.files.folders import complete_folder, link_or_copy, require_writable


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
    with complete_folder(root) as folder:  # an empty folder may be replaced
        (folder / 'first').touch()
    with (
        pytest.raises(FileExistsError, match=r'data: the folder is not empty \(--overwrite repl'),
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


def test_complete_folder_never_replaces_its_input(tmp_path):
    root = tmp_path / 'data'
    (root / 'images').mkdir(parents=True)
    (root / 'images' / '1.jpg').touch()
    link = tmp_path / 'link'
    link.symlink_to(root / 'images')
    for path in (root, root / 'images', root / 'images' / '1.jpg', link):
        with (
            pytest.raises(ValueError, match='data: expected a folder that holds none of the input'),
            complete_folder(root, overwrite=True, inputs=[tmp_path, path]),
        ):
            pass
    assert (root / 'images' / '1.jpg').exists()
    with complete_folder(root / 'maps', inputs=[root, root / 'images']) as folder:
        (folder / 'x').touch()
    assert (root / 'maps' / 'x').exists()


def full_disk(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_require_writable(tmp_path, monkeypatch):
    require_writable(tmp_path / 'new' / 'deep')
    monkeypatch.chdir(tmp_path)
    require_writable('relative')
    assert os.listdir(tmp_path) == []
    (tmp_path / 'file').touch()
    for folder in (tmp_path / 'file', tmp_path / 'file' / 'deep'):
        with pytest.raises(NotADirectoryError) as info:
            require_writable(folder)
        assert info.value.filename == str(folder)
    monkeypatch.setattr(folders.os, 'fsync', full_disk)
    with pytest.raises(OSError, match='No space left on device') as info:
        require_writable(tmp_path / 'new')
    assert info.value.filename == str(tmp_path / 'new')


def test_require_writable_writes(tmp_path):
    """A limit that the kernel checks, as it does for a quota."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError, match='File too large'):
            require_writable(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_complete_folder_finds_a_full_disk_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr(folders.os, 'fsync', full_disk)
    with pytest.raises(OSError, match='No space left'), complete_folder(tmp_path / 'a' / 'data'):
        pytest.fail('the block must not start')
    assert os.listdir(tmp_path) == []


def test_errors_name_the_folder_and_not_the_temporary_one(tmp_path):
    with (
        pytest.raises(FileNotFoundError) as info,
        complete_folder(tmp_path / 'data') as folder,
    ):
        (folder / 'sub' / 'file').write_text('x')
    assert info.value.filename == str(tmp_path / 'data' / 'sub' / 'file')
    with pytest.raises(FileNotFoundError) as info, complete_folder(tmp_path / 'data'):
        open(tmp_path / 'gone')  # noqa: SIM115
    assert info.value.filename == str(tmp_path / 'gone')


@pytest.fixture
def ended():
    """The tag of a process that has ended."""
    process = subprocess.Popen(['true'])
    process.wait()
    return f'{process_tag().partition("-")[0]}-{process.pid}'


def test_the_rest_of_a_killed_process_is_removed(tmp_path, ended):
    alive = f'{process_tag().partition("-")[0]}-{os.getppid()}'
    kept = [f'.data.partial-{alive}-x', f'.x.partial-{ended}-x']
    for name in (f'.data.partial-{ended}-ab_1', *kept):
        (tmp_path / name).mkdir()
        (tmp_path / name / 'file').touch()
    with complete_folder(tmp_path / 'data') as folder:
        (folder / 'new').touch()
    assert {path.name for path in tmp_path.iterdir()} == {'data', *kept}


def test_a_process_killed_between_the_renames_loses_nothing(tmp_path, ended):
    old = tmp_path / f'.data.old-{ended}-x' / 'folder'
    old.mkdir(parents=True)
    (old / 'precious').touch()
    with pytest.raises(FileExistsError, match='not empty'), complete_folder(tmp_path / 'data'):
        pass
    assert os.listdir(tmp_path) == ['data'] and os.listdir(tmp_path / 'data') == ['precious']
