"""Read and write large json files a few entries at a time."""

import codecs
import io
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from mmp2seg.files.atomic_write import dump_json, replaced_file
from mmp2seg.files.json_reading import parse_json, require_lists
from mmp2seg.files.text_reading import decode_text

_CHUNK = 2**20  # bytes
_SPACE = re.compile(r'[ \t\n\r]*')
_NUMBER_GOES_ON = ('', '.', 'e', 'E')


def stream_json_object(
    path: str | Path,
    *,
    lists: Sequence[str],
    optional: Sequence[str] = (),
    skip: Sequence[str] = (),
    data: bytes | None = None,
) -> Iterator[tuple[str, int | None, Any]]:
    """Read a json file whose top level is an object, one entry of its lists at a time.

    Memory holds a megabyte of the file and one entry.

    Args:
        path: the file.
        lists: keys whose lists are read by entry; they are required.
        optional: keys whose lists are read by entry, if they are there.
        skip: keys whose values are left out; lists are read by entry for this.
        data: content of the file, if it was read already.

    Yields:
        tuple: in the order of the file, for each entry of these lists the key, the position (from
        0) and the entry; for an empty list, and for each other key, the key, None and the value.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not json, its top level is not an object, a key is there twice or a
            list is missing; the message names the file and the place. Entries before the place
            have been yielded.
    """
    if data is None and not Path(path).is_file():
        raise FileNotFoundError(f'{path}: there is no such file')
    with _open_utf8(path, data) as file:
        seen: dict[str, list] = {}
        try:
            by_entry = {*lists, *optional}
            for key, index, value in _Scanner(file).read_object({*by_entry, *skip}):
                if index == _STARTS:
                    if key in seen:
                        raise ValueError(f'{path}: expected each key once, got {key!r} twice')
                    seen[key] = []
                elif key not in skip:
                    if index is None and key in by_entry:
                        require_lists(path, {key: value}, [key])
                    yield key, index, value
        except _NotJsonError as error:
            file.seek(0)  # reading it as a whole says what is wrong, and where
            content = parse_json(decode_text(file.read(), where=path), path)
            require_lists(path, content, lists)
            raise ValueError(f'{path}: invalid json') from error
    require_lists(path, seen, lists)


def _open_utf8(path: str | Path, data: bytes | None) -> BinaryIO:
    """Open a text file in UTF-8; one in UTF-16 is converted in memory."""
    file = open(path, 'rb') if data is None else io.BytesIO(data)  # noqa: SIM115, the caller closes
    if file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        with file:
            file.seek(0)
            return io.BytesIO(decode_text(file.read(), where=path).encode())
    file.seek(0)
    return file


def read_json_without(path: str | Path, keys: Sequence[str]) -> dict[str, Any]:
    """Read a json object without the values of some keys, which are never in memory as a whole.

    Raises:
        FileNotFoundError, ValueError: see :func:`stream_json_object`.
    """
    return {key: value for key, _, value in stream_json_object(path, lists=(), skip=keys)}


def write_json_object(path: str | Path, fields: Iterable[tuple[str, Any]]) -> None:
    """Write a json object atomically; lists that are given as iterators need not be in memory.

    The file is the same as that of :func:`mmp2seg.files.atomic_write.write_json`.

    Args:
        path: the file to write.
        fields: keys and values, of plain json types without nan and infinity. An iterator is
            written as a list. The next field is asked for when an iterator has ended.

    Raises:
        TypeError, ValueError: a value cannot be written as json; the message names ``path``.
        OSError: the folder cannot be written to, or the disk is full.
    """
    with replaced_file(path) as temporary, open(temporary, 'w', encoding='utf-8') as file:
        file.write('{')
        for number, (key, value) in enumerate(fields):
            file.write(f'{", " if number else ""}{json.dumps(key)}: ')
            if not isinstance(value, Iterator):
                file.write(dump_json(value, path))
                continue
            file.write('[')
            for index, entry in enumerate(value):
                file.write(f', {dump_json(entry, path)}' if index else dump_json(entry, path))
            file.write(']')
        file.write('}')
        file.flush()
        os.fsync(file.fileno())


_STARTS = -1  # instead of a position: a key is found


class _NotJsonError(Exception):
    """The file is not a json object."""


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entry = dict(pairs)
    if len(entry) < len(pairs):
        raise _NotJsonError
    return entry


def _refuse(name: str) -> float:
    raise _NotJsonError


class _Scanner:
    """Reads a json object from a file in chunks."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._decode = codecs.getincrementaldecoder('utf-8-sig')().decode
        self._value = json.JSONDecoder(
            object_pairs_hook=_without_twins, parse_constant=_refuse
        ).raw_decode
        self._text = ''
        self._at = 0
        self._ended = False

    def read_object(self, lists: set[str]) -> Iterator[tuple[str, int | None, Any]]:
        """Yield keys and values, and a :data:`_STARTS` before those of each key."""
        self._expect('{')
        while self._next() != '}':
            key = self._read()
            self._expect(':')
            if not isinstance(key, str):
                raise _NotJsonError
            yield key, _STARTS, None
            if key in lists and self._next() == '[':
                index = None
                for index, entry in enumerate(self._read_list()):
                    yield key, index, entry
                if index is None:
                    yield key, None, []
            else:
                yield key, None, self._read()
            self._expect_comma_before('}')
        self._at += 1
        if self._next():
            raise _NotJsonError

    def _read_list(self) -> Iterator[Any]:
        self._expect('[')
        while self._next() != ']':
            yield self._read()
            self._expect_comma_before(']')
        self._at += 1

    def _expect_comma_before(self, end: str) -> None:
        """Go over the comma after an entry, if there is another one."""
        found = self._next()
        if found == ',':
            self._at += 1
            found = '' if self._next() == end else end
        if found != end:
            raise _NotJsonError

    def _expect(self, character: str) -> None:
        if self._next() != character:
            raise _NotJsonError
        self._at += 1

    def _next(self) -> str:
        """Return the next character that is not white space, '' at the end."""
        if (character := self._text[self._at : self._at + 1]) > ' ':
            return character
        while True:
            self._at = _SPACE.match(self._text, self._at).end()  # type: ignore[union-attr]
            if self._at < len(self._text) or not self._read_chunk():
                return self._text[self._at : self._at + 1]

    def _read(self) -> Any:
        """Return the value that begins at the next character."""
        self._next()
        while True:
            try:
                value, end = self._value(self._text, self._at)
            except (ValueError, RecursionError) as error:  # it may be cut off
                if not self._read_chunk():
                    raise _NotJsonError from error
                continue
            # a number may go on after the end of the text: 1 | 2, 1. | 2, 1e | 2
            if self._text[end : end + 1] not in _NUMBER_GOES_ON or not self._read_chunk():
                self._at = end
                return value

    def _read_chunk(self) -> bool:
        """Read on, and forget what was read; return False at the end of the file."""
        if self._ended:
            return False
        rest = self._text[self._at :]
        try:
            # as much again: a long entry is not read from its start for every chunk
            data = self._file.read(max(_CHUNK, len(rest)))
            self._text = rest + self._decode(data, final=not data)
        except UnicodeDecodeError as error:
            raise _NotJsonError from error
        self._at = 0
        self._ended = not data
        return True
