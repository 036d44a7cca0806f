"""A lock that reserves a folder for one process at a time."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

# error numbers returned by file systems without locks, such as some network file systems
_UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)


class FolderInUse(Exception):
    """Another process holds the lock of a folder; the message names the folder."""


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
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise FolderInUse(f'{folder}: another command is at work in this folder') from error
    except NotImplementedError:  # raised by some versions of filelock for ENOSYS
        pass
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
    try:
        yield
    finally:
        with suppress(OSError):  # another process has removed the folder or is writing to it
            if is_new and list(folder.iterdir()) == [path]:
                path.unlink()
                folder.rmdir()
        lock.release()
