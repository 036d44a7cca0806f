"""Atomic writing: a file holds either its old content or all of its new content."""

import functools
import json
import os
import platform
import re
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

_TEMPORARY = re.compile(r'\..+\.([0-9a-f]{8}-\d+)\.tmp')
_SECONDS_OF_OTHERS = 24 * 60 * 60


@contextmanager
def replaced_file(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path, and rename that file to ``path`` when the block ends without error.

    The temporary file is hidden and in the same folder, because a rename is atomic only within one
    file system. Missing folders are created. If ``path`` is a link, its target is replaced. After
    an error the old file is kept and the temporary file is removed. A temporary file of a process
    that was killed is removed by the next one that writes to the folder.

    Raises:
        OSError: The folder cannot be written to, or the disk is full; its ``filename`` is ``path``.
    """
    path = Path(os.path.realpath(path))
    # not tempfile: only the user can read its files, and os.replace keeps the mode
    temporary = path.with_name(f'.{path.name}.{process_tag()}.tmp')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_abandoned_files(path.parent)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        # a failed write names no file, and a failed open the temporary one
        if error.errno is None or error.filename not in (None, str(temporary)):
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
    finally:
        with suppress(OSError):  # the folder cannot be written to: the first error says so
            temporary.unlink(missing_ok=True)


def process_tag() -> str:
    """Return a text for names of temporary files: this machine and this process."""
    return f'{zlib.crc32(platform.node().encode()):08x}-{os.getpid()}'


def is_abandoned(path: Path, tag: str) -> bool:
    """Return whether the process that wrote a temporary file or folder is gone.

    What another machine wrote to a shared folder counts as such after a day.

    Args:
        path: the file or folder.
        tag: :func:`process_tag` of the process, from the name.
    """
    machine, _, process = tag.partition('-')
    if machine != process_tag().partition('-')[0]:
        try:
            return path.stat().st_mtime < time.time() - _SECONDS_OF_OTHERS
        except OSError:  # it is gone
            return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):  # it is of another user; no such number is possible
        pass
    return False


@functools.lru_cache(maxsize=1024)
def remove_abandoned_files(folder: Path) -> None:
    """Remove the temporary files that killed processes left in a folder.

    A process looks once into each folder, because folders can have a million files.
    """
    for file in folder.glob('.*.tmp'):
        found = _TEMPORARY.fullmatch(file.name)
        if found and is_abandoned(file, found[1]):
            with suppress(OSError):
                file.unlink()


def write_json(path: str | Path, content: Any) -> None:
    """Write json atomically; the text is complete before any file is opened.

    Args:
        path: The file to write.
        content: Plain json types. nan and infinity are rejected, because they are not valid json.

    Raises:
        TypeError, ValueError: ``content`` cannot be written as json; the message names ``path``.
        OSError: The folder cannot be written to, or the disk is full.
    """
    path = Path(os.path.realpath(path))
    write_text(path, dump_json(content, path))


def dump_json(content: Any, path: str | Path) -> str:
    """Return the text of a json; nan and infinity are rejected, because they are not valid json.

    Raises:
        TypeError, ValueError: ``content`` cannot be written as json; the message names ``path``.
    """
    try:
        return json.dumps(content, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise type(error)(f'{path}: not written, the content is not valid json: {error}') from error


def write_text(path: str | Path, text: str) -> None:
    """Write a UTF-8 text file atomically.

    Raises:
        OSError: The folder cannot be written to, or the disk is full.
    """
    with replaced_file(path) as temporary, open(temporary, 'w', encoding='utf-8') as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
