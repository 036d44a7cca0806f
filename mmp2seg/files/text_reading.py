"""Read UTF-8 text files, with or without a byte order mark, and show text in messages."""

import unicodedata
from pathlib import Path


def read_text(path: str | Path) -> str:
    """Read a text file without changing its line ends.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is not UTF-8; the message names file and line.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'{path}: there is no such file')
    return decode_text(path.read_bytes(), where=path)


def decode_text(data: bytes, *, where: str | Path) -> str:
    """Decode the content of a text file.

    Args:
        data: content of the file.
        where: the file, for error messages.

    Raises:
        ValueError: The data is not UTF-8; the message names file and line.
    """
    try:
        return data.decode('utf-8-sig')
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b'\n') + 1
        byte = error.object[error.start]
        raise ValueError(
            f'{where}: expected text in UTF-8, got the byte {byte:#04x} in line {line}'
        ) from error


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
