"""Files that are either the old ones or the new ones, never something in between."""

import json
import os
from pathlib import Path
from typing import Any


def write_json(path: str | Path, content: Any) -> None:
    """Write json so that ``path`` holds either its previous content or all of the new one.

    The text is built first, written to a hidden file in the same folder (a rename is atomic only
    within a file system) and moved into place. Missing folders are made; where ``path`` is a link,
    the file that it points to is replaced.

    Args:
        path: The file to write.
        content: Plain json types. nan and infinity are refused: they are not json.

    Raises:
        TypeError, ValueError: ``content`` cannot be written as json; names ``path``.
        OSError: The folder cannot be written to, or the disk is full.
    """
    path = Path(os.path.realpath(path))
    try:
        text = json.dumps(content, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise type(error)(f'{path}: not written, the content is no json: {error}') from error
    write_text(path, text)


def write_text(path: str | Path, text: str) -> None:
    """Write a text file whole or not at all, as :func:`write_json` does.

    Raises:
        OSError: The folder cannot be written to, or the disk is full.
    """
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    # not tempfile: its files are private to the user, and os.replace would keep that
    temporary = path.with_name(f'.{path.name}.{os.getpid()}.tmp')
    try:
        with open(temporary, 'w', encoding='utf-8') as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
