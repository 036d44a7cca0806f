"""Read json files with errors that name the file and the place."""

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmp2seg.files.text_reading import read_text

# The tokens that a parser refuses; strings come first, so that nothing in them is found.
_STRING = r'"(?:[^"\\]|\\.)*"'
_NOT_FINITE = re.compile(rf'{_STRING}|(?P<found>-?Infinity|NaN)')
_LONG_INTEGER = re.compile(rf'{_STRING}|(?P<found>-?\d{{1000,}})')


class _BadValueError(ValueError):
    """A value that Python's parser accepts."""


def parse_json(
    text: str,
    path: str | Path,
    *,
    drop: Sequence[str] = (),
    unless: str | None = None,
    allow_nan: bool = False,
) -> Any:
    """Parse the text of a json file.

    Args:
        text: content of the file.
        path: path of the file, for error messages.
        drop: keys to remove from every object while parsing, to save memory.
        unless: key of the objects that keep all; None: there are none.
        allow_nan: accept NaN and Infinity, which are not json but which Python writes.

    Raises:
        ValueError: The text is not json, has NaN, an object with a key twice or an integer of
            thousands of digits, or is nested too deeply. The message names the file and the place:
            line and column, or the beginning of the object.
    """

    def checked(pairs: list[tuple[str, Any]]) -> dict:
        entry = dict(pairs)
        if len(entry) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise _BadValueError(
                f'expected each key once, got {twice!r:.60} twice in {entry!r:.60}'
            )
        for key in drop if unless not in entry else ():
            entry.pop(key, None)
        return entry

    def refuse(name: str) -> float:
        raise _BadValueError(f'{_place(text, _NOT_FINITE)}: {name} is not a number of json')

    options: dict[str, Any] = {} if allow_nan else {'parse_constant': refuse}
    try:
        return json.loads(text, object_pairs_hook=checked, **options)
    except json.JSONDecodeError as error:
        raise ValueError(
            f'{path}: invalid json, line {error.lineno} column {error.colno}: {error.msg}'
        ) from error
    except _BadValueError as error:
        raise ValueError(f'{path}: invalid json, {error}') from error
    except ValueError as error:  # Python converts no longer ones
        place = _place(text, _LONG_INTEGER)
        raise ValueError(f'{path}: invalid json, {place}: an integer of too many digits') from error
    except RecursionError as error:
        raise ValueError(
            f'{path}: invalid json, lists and objects are nested too deeply'
        ) from error


def read_json(
    path: str | Path,
    *,
    drop: Sequence[str] = (),
    unless: str | None = None,
    allow_nan: bool = False,
) -> Any:
    """Read a json file; for ``drop``, ``unless`` and ``allow_nan`` see :func:`parse_json`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is not json, see :func:`parse_json`; the message names the file and the
            place.
    """
    return parse_json(read_text(path), path, drop=drop, unless=unless, allow_nan=allow_nan)


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


def is_integer(value: Any) -> bool:
    """Return whether a json value is an integer of 64 bits, not a boolean."""
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63


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


def require_keys(
    path: str | Path, part: str, entries: Sequence[dict], keys: Sequence[str], *, start: int = 0
) -> None:
    """Check that each entry of a list of a json file is an object with the given keys.

    Args:
        path: the file, for messages.
        part: name of the list.
        entries: entries of the list, from position ``start`` on.
        keys: the keys that an entry needs.
        start: position in the list of the first entry, from 0.

    Raises:
        ValueError: An entry is not; the message names the file, the list, the position (from 0) and
            the missing keys.
    """
    for index, entry in enumerate(entries, start):
        if not isinstance(entry, dict):
            raise ValueError(f'{path}: {part}[{index}]: expected an object, got {entry!r:.60}')
        missing = [key for key in keys if key not in entry]
        if missing:
            raise ValueError(f'{path}: {part}[{index}] lacks {missing}')


def _place(text: str, token: re.Pattern[str]) -> str:
    """Return line and column of the first match of the group ``found``."""
    start = next((m.start() for m in token.finditer(text) if m['found'] is not None), 0)
    line = text.count('\n', 0, start) + 1
    return f'line {line} column {start - text.rfind(chr(10), 0, start)}'
