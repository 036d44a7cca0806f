"""Locks that reserve a folder or a file for one process at a time."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

# error numbers returned by file systems without locks, such as some network file systems
_UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)


class FolderInUse(Exception):
    """Another process holds the lock of a folder; the message names the folder."""


class FileInUse(Exception):
    """Another process holds the lock of a file; the message names the file."""


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder until the end of the block or of this process.

    A missing folder is created; it is removed again if nothing was written to it.

    The lock is advisory: it only affects processes that use this function. On file systems that
    do not support locks it has no effect.

    Raises:
        FolderInUse: another process holds the lock.
    """
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / '.lock'
    lock = FileLock(path)
    if not _acquire(lock):
        raise FolderInUse(f'{folder}: another command is at work in this folder')
    try:
        yield
    finally:
        with suppress(OSError):  # another process has removed the folder or is writing to it
            if is_new and list(folder.iterdir()) == [path]:
                path.unlink()
                folder.rmdir()
        lock.release()


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Hold the lock of a file until the end of the block or of this process.

    The file need not exist; its folder is created. The lock itself is the hidden file
    ``.<name>.lock`` beside it, which can stay after the block. It is advisory, as
    :func:`folder_lock` is.

    Raises:
        FileInUse: another process holds the lock.
        OSError: the folder cannot be written to.
    """
    path = Path(os.path.realpath(path))  # two links to a file are one file
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.with_name(f'.{path.name}.lock'))
    if not _acquire(lock):
        raise FileInUse(f'{path}: another command is at work on this file')
    try:
        yield
    finally:
        lock.release()


def _acquire(lock: FileLock) -> bool:
    """Return whether no other process holds the lock."""
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    except NotImplementedError:  # raised by some versions of filelock for ENOSYS
        pass
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
    return True
