"""Read text files, UTF-8 or UTF-16 with a byte order mark, and show text in messages."""

import codecs
import unicodedata
from pathlib import Path

_MOST_DIGITS = 18  # of 64 bits; Python converts no thousands of them
_UTF_16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_text(path: str | Path, *, encoding: str | None = None) -> str:
    """Read a text file without changing its line ends; see :func:`decode_text`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is not in the encoding; the message names file and line.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'{path}: there is no such file')
    return decode_text(path.read_bytes(), where=path, encoding=encoding)


def decode_text(data: bytes, *, where: str | Path, encoding: str | None = None) -> str:
    """Decode the content of a text file.

    Args:
        data: content of the file.
        where: the file, for error messages.
        encoding: A name that Python knows. None: UTF-8, or UTF-16 if its byte order mark is there.

    Raises:
        ValueError: The data is not in the encoding; the message names file and line. Also for an
            encoding that Python does not know.
    """
    if encoding is None and data.startswith(_UTF_16_MARKS):
        encoding = 'utf-16'
    try:
        return data.decode(encoding or 'utf-8-sig').removeprefix('\ufeff')
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b'\n') + 1
        byte = error.object[error.start]
        raise ValueError(
            f'{where}: expected text in {(encoding or "utf-8").upper()}, got the byte {byte:#04x} '
            f'in line {line}'
        ) from error
    except LookupError as error:
        raise ValueError(f'expected the name of an encoding, got {encoding!r}') from error


def printable(text: str) -> str:
    """Escape what a terminal obeys or does not show, for names in messages.

    These are control characters, separators of lines, and the surrogates that stand for bytes of a
    file name that are not UTF-8.
    """
    return ''.join(
        character.encode('unicode_escape').decode()
        if unicodedata.category(character) in ('Cc', 'Cs', 'Zl', 'Zp')
        else character
        for character in text
    )


def whole_number(text: str) -> int | None:
    """Return a text of digits as a number; None for other texts and for more than 18 digits."""
    text = text.strip()
    return int(text) if text.isdecimal() and len(text) <= _MOST_DIGITS else None
