"""Read and write points in a CSV table: a header ``file,x,y,class`` and one line per point."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from mmp2seg.converters.point_formats.reading import ImageNames, collected, locate_images
from mmp2seg.converters.point_formats.tables import TableRow, first_row, read_table
from mmp2seg.converters.point_json import SourceImage, SourcePoint
from mmp2seg.files.atomic_write import write_text
from mmp2seg.files.image_folder import image_names

COLUMNS = ('file', 'x', 'y', 'class')
_PIXEL_CENTER = 0.5


def read(
    path: str | Path,
    *,
    image_dir: str | Path,
    pixel_indices: bool = False,
    list_images: bool = False,
    columns: Mapping[str, str] | None = None,
    class_name: str | None = None,
    encoding: str | None = None,
    skip_refused: bool = False,
) -> list[SourceImage]:
    """Read a table whose header names the columns ``file``, ``x``, ``y`` and ``class``.

    The columns may be in any order and in upper or lower case; other columns are ignored. For
    delimiters, encodings and the decimal comma see :mod:`mmp2seg.converters.point_formats.tables`.

    Args:
        path: the table.
        image_dir: folder of the images; ``file`` is a path in this folder. It may lack the suffix
            if exactly one image has this name. The sizes are read from the images.
        pixel_indices: coordinates are pixel indices, so .5 is added. False: coordinates are
            continuous.
        list_images: append the images of the folder and its subfolders that have no line in the
            table, as images without points.
        columns: names of columns in the table by ``file``, ``x``, ``y`` and ``class``, for those
            that are named otherwise.
        class_name: class of all points, for a table without a column for it.
        encoding: of the text; None = UTF-8, or UTF-16 with a byte order mark.
        skip_refused: leave out what cannot be placed, and report it, instead of raising an error.

    Returns:
        list: images in the order of their first lines.

    Raises:
        FileNotFoundError: there is no such file, or an image is missing.
        ValueError: the table is malformed, a ``file`` without suffix fits several images, or the
            table has no line below the header and ``list_images`` is False; the message names file
            and line.
    """
    table = read_table(path, encoding=encoding)
    names = {name: (columns or {}).get(name, name) for name in COLUMNS}
    for name in columns or ():
        if name not in COLUMNS:
            raise ValueError(f'--columns: expected {", ".join(COLUMNS)}, got {name!r}')
    if class_name is not None:
        del names['class']
    table.require_columns(names.values())
    points = PointRows(image_dir, skip_refused=skip_refused)
    for row in table.rows():
        with points.reading(row.where):
            label = class_name or row[names['class']]
            file_name = row[names['file']]
            if not file_name or not label:
                raise ValueError(
                    f'{row.where}: expected a file and a class, got {file_name!r}, {label!r}'
                )
            x, y = row.numbers(names['x'], names['y'])
            shift = _PIXEL_CENTER if pixel_indices else 0.0
            points.add(file_name, x + shift, y + shift, label, row)
    return points.images(path, list_images=list_images)


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
    header = {name.strip().lower() for name in first_row(text)}
    return header.issuperset(COLUMNS)


class PointRows:
    """The points of the rows of a table, by image.

    Args:
        image_dir: folder of the images.
        skip_refused: keep the errors of rows as lines, instead of raising them.
    """

    def __init__(self, image_dir: str | Path, *, skip_refused: bool) -> None:
        self._image_dir = Path(image_dir)
        self._skip_refused = skip_refused
        self._names = ImageNames(image_dir)
        self._points: dict[str, list[SourcePoint]] = {}
        self._places: dict[str, str] = {}
        self._sizes: dict[str, tuple[int, int]] = {}
        self._left_out: list[str] = []

    def reading(self, where: str):
        """Return a context that reads a row; see ``skip_refused``."""
        return collected(self._left_out, skip=self._skip_refused)

    def leave_out(self, line: str) -> None:
        """Report a row that holds no point."""
        self._left_out.append(line)

    def add_image(
        self, file_name: str, row: TableRow, *, size: tuple[int, int] | None = None
    ) -> list[SourcePoint]:
        """Return the points of an image, to add to; ``size`` (H, W) is what the table states."""
        name = self._names.find(file_name, where=row.where)
        self._places.setdefault(name, row.where)
        if size is not None and self._sizes.setdefault(name, size) != size:
            raise ValueError(
                f'{row.where}: expected one size of {name}, got {size[1]} x {size[0]} after '
                f'{self._sizes[name][1]} x {self._sizes[name][0]}'
            )
        return self._points.setdefault(name, [])

    def add(
        self,
        file_name: str,
        x: float,
        y: float,
        label: str,
        row: TableRow,
        *,
        size: tuple[int, int] | None = None,
    ) -> None:
        """Add a point in continuous coordinates."""
        self.add_image(file_name, row, size=size).append(SourcePoint(x, y, label, row.where))

    def shift(self, distance: float) -> None:
        """Add a distance to all coordinates."""
        for name, points in self._points.items():
            self._points[name] = [
                SourcePoint(p.x + distance, p.y + distance, p.label, p.where) for p in points
            ]

    def coordinates(self) -> Iterable[float]:
        """Return the coordinates of all points."""
        return (v for points in self._points.values() for p in points for v in (p.x, p.y))

    def images(self, path: str | Path, *, list_images: bool) -> list[SourceImage]:
        """Return the images, in the order of their first rows, with the sizes of their files.

        Raises:
            FileNotFoundError, ValueError: see ``locate_images``. Also if there are no rows.
        """
        if not self._points and not self._left_out and not list_images:
            raise ValueError(
                f'{path}: expected rows below the header, got none (--list-images takes images '
                'without a row)'
            )
        if list_images:
            for name in image_names(self._image_dir):
                self._points.setdefault(name, [])
                self._places.setdefault(name, str(self._image_dir / name))
        images = []
        for name, points in self._points.items():
            height, width = self._sizes.get(name, (None, None))
            images.append(SourceImage(name, height, width, points, self._places[name]))
        located = locate_images(images, image_dir=self._image_dir, skip_refused=self._skip_refused)
        if self._left_out:
            first, *others = self._left_out
            located.append(SourceImage('', 0, 0, (), str(path), others, missing=first))
        return located
