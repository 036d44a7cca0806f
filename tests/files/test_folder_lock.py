import errno
import fcntl
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mmp2seg.files.folder_lock import FileInUse, FolderInUse, file_lock, folder_lock

ROOT = Path(__file__).resolve().parents[2]
HOLDER = """
import sys
from pathlib import Path
from mmp2seg.files.folder_lock import folder_lock

with folder_lock(Path(sys.argv[1])):
    print('held', flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Start a process that holds the lock of the folder 'work' until it ends."""
    command = [sys.executable, '-c', HOLDER, str(tmp_path / 'work')]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout.readline() == 'held\n'
        yield process
        process.kill()


def test_a_folder_in_use_is_named(holder, tmp_path):
    with (
        pytest.raises(FolderInUse, match='work: another command is at work'),
        folder_lock(tmp_path / 'work'),
    ):
        pytest.fail('two hold it')
    with folder_lock(tmp_path / 'other'):
        pass
    assert (tmp_path / 'work').is_dir() and not (tmp_path / 'other').exists()


def test_a_folder_that_is_used_stays(tmp_path):
    with folder_lock(tmp_path / 'a' / 'work'):
        (tmp_path / 'a' / 'work' / 'x').touch()
    assert (tmp_path / 'a' / 'work' / 'x').exists()
    (tmp_path / 'empty').mkdir()
    with folder_lock(tmp_path / 'empty'):
        pass
    assert (tmp_path / 'empty').is_dir()


def test_a_killed_process_holds_nothing(holder, tmp_path):
    holder.kill()
    holder.wait()
    held = 0
    for _ in range(2):
        with folder_lock(tmp_path / 'work'):
            held += 1
    assert held == 2


def test_a_folder_that_is_removed_meanwhile(tmp_path):
    with folder_lock(tmp_path / 'work'):
        shutil.rmtree(tmp_path / 'work')
    assert not (tmp_path / 'work').exists()


def test_an_error_lets_go(tmp_path):
    with pytest.raises(KeyboardInterrupt), folder_lock(tmp_path):
        raise KeyboardInterrupt
    with folder_lock(tmp_path):
        pass


@pytest.mark.parametrize('number', [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_keeps_nobody_out(tmp_path, monkeypatch, number):
    def refuse(*args):
        raise OSError(number, 'no locks here')

    monkeypatch.setattr(fcntl, 'flock', refuse)
    with folder_lock(tmp_path), folder_lock(tmp_path):
        both_hold_it = True
    assert both_hold_it


def test_other_errors_are_errors(tmp_path, monkeypatch):
    def refuse(*args):
        raise OSError(errno.EIO, 'broken disk')

    monkeypatch.setattr(fcntl, 'flock', refuse)
    with pytest.raises(OSError, match='broken disk'), folder_lock(tmp_path):
        pass


def test_a_file_in_use_is_named(tmp_path):
    script = HOLDER.replace(' folder_lock', ' file_lock')
    path, link = tmp_path / 'new' / 'points.json', tmp_path / 'link.json'
    link.symlink_to(path)
    pipe = subprocess.PIPE
    command = [sys.executable, '-c', script, str(path)]
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout.readline() == 'held\n'
        for name in (path, link):
            with (
                pytest.raises(FileInUse, match=r'points\.json: another command is at work'),
                file_lock(name),
            ):
                pytest.fail('two hold it')
        with file_lock(tmp_path / 'new' / 'other.json'):
            pass
        process.kill()
    held = 0
    for _ in range(2):
        with file_lock(path):
            held += 1
    assert held == 2 and not path.exists()


def test_a_file_that_cannot_be_locked(tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(OSError), file_lock(tmp_path / 'file' / 'points.json'):
        pytest.fail('held')
