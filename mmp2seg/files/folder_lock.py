"""Keep a folder for one process at a time."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

# what file systems without locks answer, as some networks have
_UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)


class FolderInUse(Exception):
    """Another process holds the folder; the message names it."""


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold a folder until the end of the block or of this process.

    A missing folder is made, and removed again if nothing was written to it.

    The lock is advisory: it keeps out those who ask for it. On file systems that refuse to lock
    nobody is kept out.

    Raises:
        FolderInUse: another process holds it.
    """
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / '.lock'
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise FolderInUse(f'{folder}: another command is at work in this folder') from error
    except NotImplementedError:  # what some versions of filelock make of ENOSYS
        pass
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
    try:
        yield
    finally:
        with suppress(OSError):  # somebody removed it, or began to write to it
            if is_new and list(folder.iterdir()) == [path]:
                path.unlink()
                folder.rmdir()
        lock.release()
