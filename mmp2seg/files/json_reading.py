"""Read json files with errors that name the file and the place."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmp2seg.files.text_reading import read_text


def parse_json(
    text: str, path: str | Path, *, drop: Sequence[str] = (), unless: str | None = None
) -> Any:
    """Parse the text of a json file.

    Args:
        text: content of the file.
        path: path of the file, for error messages.
        drop: keys to remove from every object while parsing, to save memory.
        unless: key of the objects that keep all; None: there are none.

    Raises:
        ValueError: The text is not json; the message names the file, the line and the column.
    """

    def without_dropped(entry: dict) -> dict:
        for key in drop if unless not in entry else ():
            entry.pop(key, None)
        return entry

    try:
        return json.loads(text, object_hook=without_dropped if drop else None)
    except json.JSONDecodeError as error:
        raise ValueError(
            f'{path}: invalid json, line {error.lineno} column {error.colno}: {error.msg}'
        ) from error


def read_json(path: str | Path, *, drop: Sequence[str] = (), unless: str | None = None) -> Any:
    """Read a json file; for ``drop`` and ``unless`` see :func:`parse_json`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is not json; the message names the file, the line and the column.
    """
    return parse_json(read_text(path), path, drop=drop, unless=unless)


def read_json_object(
    path: str | Path,
    *,
    lists: Sequence[str] = (),
    drop: Sequence[str] = (),
    unless: str | None = None,
) -> dict:
    """Read a json file whose top level is an object with the given lists.

    For ``drop`` and ``unless`` see :func:`parse_json`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is not json, its top level is not an object, or a list is missing; the
            message names the file and the place.
    """
    content = read_json(path, drop=drop, unless=unless)
    require_lists(path, content, lists)
    return content


def is_finite_number(value: Any) -> bool:
    """Return whether a json value is a number, not a boolean, and finite as a float."""
    try:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return is_number and math.isfinite(value)
    except OverflowError:  # an integer that is too large for a float
        return False


def require_lists(path: str | Path, content: Any, lists: Sequence[str]) -> None:
    """Check that the content of a json file is an object with the given lists.

    Raises:
        ValueError: It is not; the message names the file and the expected content.
    """
    if not isinstance(content, dict):
        raise ValueError(f'{path}: expected a json object, got a {type(content).__name__}')
    for key in lists:
        if not isinstance(content.get(key), list):
            raise ValueError(f'{path}: expected a list {key!r}, got {content.get(key)!r:.60}')


def require_keys(path: str | Path, part: str, entries: Sequence[dict], keys: Sequence[str]) -> None:
    """Check that each entry of a list of a json file is an object with the given keys.

    Raises:
        ValueError: An entry is not; the message names the file, the list, the position (from 0) and
            the missing keys.
    """
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise ValueError(f'{path}: {part}[{index}]: expected an object, got {entry!r:.60}')
        missing = [key for key in keys if key not in entry]
        if missing:
            raise ValueError(f'{path}: {part}[{index}] lacks {missing}')
