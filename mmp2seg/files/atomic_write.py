"""Atomic writing: a file holds either its old content or all of its new content."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def replaced_file(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path, and rename that file to ``path`` when the block ends without error.

    The temporary file is hidden and in the same folder, because a rename is atomic only within one
    file system. Missing folders are created. If ``path`` is a link, its target is replaced. After
    an error the old file is kept and the temporary file is removed.

    Raises:
        OSError: The folder cannot be written to, or the disk is full.
    """
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    # not tempfile: only the user can read its files, and os.replace keeps the mode
    temporary = path.with_name(f'.{path.name}.{os.getpid()}.tmp')
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


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
    try:
        text = json.dumps(content, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise type(error)(f'{path}: not written, the content is not valid json: {error}') from error
    write_text(path, text)


def write_text(path: str | Path, text: str) -> None:
    """Write a UTF-8 text file atomically.

    Raises:
        OSError: The folder cannot be written to, or the disk is full.
    """
    with replaced_file(path) as temporary, open(temporary, 'w', encoding='utf-8') as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
