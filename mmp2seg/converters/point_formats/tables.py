"""Text tables: delimiters, the line ``sep=``, the decimal comma, encodings.

The delimiter is the one of comma, semicolon and tab that splits the first line into most fields.
Excel reads a first line ``sep=;`` as the delimiter, and so does this module. With semicolon or tab,
numbers may have a decimal comma, as those of many spreadsheets. The text is UTF-8, with or without
a byte order mark, UTF-16 with one ("Unicode text" of Excel), or in a given encoding; line ends are
of any kind.
"""

import csv
import dataclasses
import io
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from mmp2seg.datasets.point_reading import number_pair
from mmp2seg.files.text_reading import read_text

_DELIMITERS = {',': 'comma', ';': 'semicolon', '\t': 'tab'}
_SEPARATOR_LINE = re.compile('"?sep=(.)"?\\s*', re.IGNORECASE)
_DECIMAL_COMMA = re.compile(r'[+-]?\d*,\d+(?:[eE][+-]?\d+)?')


@dataclasses.dataclass(frozen=True, slots=True)
class TableRow:
    """A row of a table.

    Attributes:
        where: file and line.
        values: its fields, without spaces around them.
        places: index of each column by its name, in the table's case and in lower case.
        has_decimal_comma: whether a comma in a number is a decimal one.
    """

    where: str
    values: tuple[str, ...]
    places: dict[str, int]
    has_decimal_comma: bool

    def __getitem__(self, column: str) -> str:
        return self.values[_place_of(self.places, column)]

    def get(self, column: str) -> str:
        """Return the value of a column, '' if the table lacks it."""
        return self[column] if _has(self.places, column) else ''

    def numbers(self, *columns: str) -> tuple[float, float]:
        """Return the numbers of two columns.

        Raises:
            ValueError: they are not two numbers; the message begins with ``where``.
        """
        texts = [self[column] for column in columns]
        return number_pair([self._with_point(text) for text in texts], where=self.where, text=True)

    def _with_point(self, text: str) -> str:
        is_number = self.has_decimal_comma and _DECIMAL_COMMA.fullmatch(text)
        return text.replace(',', '.') if is_number else text


@dataclasses.dataclass(frozen=True)
class Table:
    """A table that is read row by row.

    Attributes:
        path: the file.
        text: its content, without a line ``sep=``.
        delimiter: one character.
        header: the fields of the first line.
        first_line: number of the line of the header in the file.
    """

    path: Path
    text: str
    delimiter: str
    header: tuple[str, ...]
    first_line: int

    def has(self, column: str) -> bool:
        """Return whether the header names a column exactly once, in any case."""
        names = [name.lower() for name in self.header]
        return names.count(column.lower()) == 1

    def require_columns(self, columns: Iterable[str]) -> None:
        """Check that the header names columns, each once.

        Raises:
            ValueError: it does not; the message names the file and the line.
        """
        columns = list(columns)
        if not all(self.has(column) for column in columns):
            line = self.text.splitlines()[0] if self.text else ''
            raise ValueError(
                f'{self.path}:{self.first_line}: expected a header with {", ".join(columns)}, each '
                f'once, separated by {" or ".join(_DELIMITERS.values())}, got {line!r:.80} '
                '(--columns x=NAME ... takes other names, --format NAME the tables of some tools)'
            )

    def rows(self, *, has_header: bool = True) -> Iterator[TableRow]:
        """Yield the rows that are not blank.

        Raises:
            ValueError: a row has another number of fields than the header, or a quote is missing;
                the message names file and line.
        """
        places = {name.lower(): place for place, name in enumerate(self.header)}
        reader = csv.reader(
            io.StringIO(self.text, newline=''), delimiter=self.delimiter, strict=True
        )
        try:
            if has_header:
                next(reader, None)
            for row in reader:
                if not any(value.strip() for value in row):
                    continue
                where = f'{self.path}:{reader.line_num + self.first_line - 1}'
                if len(row) != len(self.header):
                    raise ValueError(
                        f'{where}: expected {len(self.header)} values, got {len(row)}: '
                        f'{", ".join(row):.80}'
                    )
                values = tuple(value.strip() for value in row)
                yield TableRow(where, values, places, self.delimiter != ',')
        except csv.Error as error:
            line = reader.line_num + self.first_line - 1
            raise ValueError(f'{self.path}:{line}: invalid table, {error}') from error


def read_table(path: str | Path, *, encoding: str | None = None) -> Table:
    """Read a table and split its header.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the text is not in the encoding; the message names file and line.
    """
    text = read_text(path, encoding=encoding)
    delimiter, text, first_line = _without_separator_line(text)
    if delimiter is None:
        delimiter = _delimiter_of(_first_line(text))
    header = tuple(name.strip() for name in _split(_first_line(text), delimiter))
    return Table(Path(path), text, delimiter, header, first_line)


def first_row(text: str) -> list[str]:
    """Return the fields of the first line of a text, after a line ``sep=``; [] for no table."""
    delimiter, text, _ = _without_separator_line(text)
    line = _first_line(text)
    return _split(line, delimiter or _delimiter_of(line))


def _without_separator_line(text: str) -> tuple[str | None, str, int]:
    """Return the delimiter that a first line ``sep=`` states, the other lines, and their number."""
    line = _first_line(text)
    found = _SEPARATOR_LINE.fullmatch(line)
    if not found:
        return None, text, 1
    rest = text[len(line) :]
    return found[1], rest.removeprefix('\r').removeprefix('\n'), 2


def _first_line(text: str) -> str:
    # newline='': leave line ends to csv, which accepts all kinds
    return io.StringIO(text, newline='').readline().rstrip('\r\n')


def _delimiter_of(line: str) -> str:
    return max(_DELIMITERS, key=lambda delimiter: len(_split(line, delimiter)))


def _split(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:  # a line of another file can be too long for a field
        return []


def _has(places: dict[str, int], column: str) -> bool:
    return column.lower() in places


def _place_of(places: dict[str, int], column: str) -> int:
    return places[column.lower()]
