"""Read and write points in a CSV table: a header ``file,x,y,class`` and one line per point."""

import csv
import io
import posixpath
from collections.abc import Iterator, Sequence
from pathlib import Path

from mmp2seg.converters.point_formats.reading import relative_name, size_from_file
from mmp2seg.converters.point_json import SourceImage, SourcePoint
from mmp2seg.datasets.point_reading import number_pair
from mmp2seg.files.atomic_write import write_text
from mmp2seg.files.image_folder import IMAGE_SUFFIXES, image_names
from mmp2seg.files.text_reading import read_text

COLUMNS = ('file', 'x', 'y', 'class')
_DELIMITERS = {',': 'comma', ';': 'semicolon', '\t': 'tab'}
_PIXEL_CENTER = 0.5


def read(
    path: str | Path,
    *,
    image_dir: str | Path,
    pixel_indices: bool = False,
    list_images: bool = False,
) -> list[SourceImage]:
    """Read a table whose header names the columns ``file``, ``x``, ``y`` and ``class``.

    The columns may be in any order and in upper or lower case; other columns are ignored. The
    delimiter is comma, semicolon or tab. The file is UTF-8, with or without a byte order mark, with
    any line ends.

    Args:
        path: the table.
        image_dir: folder of the images; ``file`` is a path in this folder. It may lack the suffix
            if exactly one image has this name. The sizes are read from the images.
        pixel_indices: coordinates are pixel indices, so .5 is added. False: coordinates are
            continuous.
        list_images: append the images of the folder and its subfolders that have no line in the
            table, as images without points.

    Returns:
        list: images in the order of their first lines.

    Raises:
        FileNotFoundError: there is no such file, or an image is missing.
        ValueError: the table is malformed, a ``file`` without suffix fits several images, or the
            table has no line below the header and ``list_images`` is False; the message names file
            and line.
    """
    shift = _PIXEL_CENTER if pixel_indices else 0.0
    points: dict[str, list[SourcePoint]] = {}
    names = _ImageNames(Path(image_dir))
    for where, (file_name, x, y, label) in _rows(Path(path)):
        if not file_name or not label:
            raise ValueError(f'{where}: expected a file and a class, got {file_name!r}, {label!r}')
        x_value, y_value = number_pair([x, y], where=where, text=True)
        point = SourcePoint(x_value + shift, y_value + shift, label, where)
        points.setdefault(names.find(file_name, where=where), []).append(point)
    if not points and not list_images:
        raise ValueError(
            f'{path}: expected rows below the header, got none (--list-images takes images without '
            'a row)'
        )
    if list_images:
        for name in image_names(image_dir):
            points.setdefault(name, [])
    images = []
    for name, of_image in points.items():
        where = of_image[0].where if of_image else f'{Path(image_dir) / name}'
        height, width = size_from_file(name, image_dir=image_dir, where=where)
        images.append(SourceImage(name, height, width, of_image, where))
    return images


def write(images: Sequence[SourceImage], path: str | Path, *, pixel_indices: bool = False) -> None:
    """Write a comma-separated table; write coordinates with all digits.

    An image without points has no line in the table; ``read(..., list_images=True)`` finds it in
    the folder.

    Args:
        images: the images with their points.
        path: the file to write; it is written atomically.
        pixel_indices: see :func:`read`.
    """
    shift = _PIXEL_CENTER if pixel_indices else 0.0
    table = io.StringIO()
    writer = csv.writer(table, lineterminator='\n')
    writer.writerow(COLUMNS)
    for image in images:
        for point in image.all_points:
            place = (repr(float(value) - shift) for value in (point.x, point.y))
            writer.writerow([image.file_name, *place, point.label])
    write_text(path, table.getvalue())


def has_header(text: str) -> bool:
    """Return whether the first line of a text names the columns of a table of points."""
    return _split_header(_first_line(text)) is not None


def _rows(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield the place and the values, in the order of ``COLUMNS``, of each non-blank line."""
    text = read_text(path)
    found = _split_header(_first_line(text))
    if found is None:
        raise ValueError(
            f'{path}:1: expected a header with {", ".join(COLUMNS)}, each once, separated by '
            f'{" or ".join(_DELIMITERS.values())}, got {_first_line(text)!r:.80}'
        )
    delimiter, header = found
    reader = csv.reader(io.StringIO(text, newline=''), delimiter=delimiter, strict=True)
    try:
        next(reader)
        for row in reader:
            if not any(value.strip() for value in row):
                continue
            where = f'{path}:{reader.line_num}'
            if len(row) != len(header):
                raise ValueError(f'{where}: expected {len(header)} values, got {len(row)}: {row}')
            yield where, [row[header.index(name)].strip() for name in COLUMNS]
    except csv.Error as error:
        raise ValueError(f'{path}:{reader.line_num}: invalid table, {error}') from error


def _first_line(text: str) -> str:
    # newline='': leave line ends to csv, which accepts all kinds
    return io.StringIO(text, newline='').readline().rstrip('\r\n')


def _split_header(line: str) -> tuple[str, list[str]] | None:
    """Return the delimiter that splits the line into all columns, and the column names."""
    for delimiter in _DELIMITERS:
        try:
            names = next(csv.reader([line], delimiter=delimiter), [])
        except csv.Error:  # a line of another file can be too long for a field
            return None
        header = [name.strip().lower() for name in names]
        if all(header.count(name) == 1 for name in COLUMNS):
            return delimiter, header
    return None


class _ImageNames:
    """Find the images that a table names, also by a name without suffix.

    It lists a folder once, and only for names that are no file.
    """

    def __init__(self, image_dir: Path) -> None:
        self._image_dir = image_dir
        self._found: dict[str, str] = {}
        self._folders: dict[str, dict[str, list[str]]] = {}

    def find(self, file_name: str, *, where: str) -> str:
        """Return the path of an image in the folder; unchanged if there is none of this name."""
        if file_name not in self._found:
            name = relative_name(file_name, where=where)
            is_file = (self._image_dir / name).is_file()
            self._found[file_name] = name if is_file else self._complete(name, where=where)
        return self._found[file_name]

    def _complete(self, name: str, *, where: str) -> str:
        folder, stem = posixpath.split(name)
        if folder not in self._folders:
            self._folders[folder] = self._images_by_stem(self._image_dir / folder)
        fitting = self._folders[folder].get(stem, [])
        if len(fitting) > 1:
            raise ValueError(
                f'{where}: expected the name of one image, got {name!r}, which fits '
                f'{" and ".join(sorted(fitting))}'
            )
        return posixpath.join(folder, fitting[0]) if fitting else name

    def _images_by_stem(self, folder: Path) -> dict[str, list[str]]:
        by_stem: dict[str, list[str]] = {}
        for path in folder.iterdir() if folder.is_dir() else ():
            if path.suffix.lower() in IMAGE_SUFFIXES:
                by_stem.setdefault(path.stem, []).append(path.name)
        return by_stem
