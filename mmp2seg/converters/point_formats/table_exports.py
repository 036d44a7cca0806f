"""Read the tables of points that annotation tools export.

The columns, by source:

- QuPath, Measure > Export measurements: ``Image``, ``Class`` or, since 0.5, ``Classification``,
  ``Centroid X px`` or, if the image has a pixel size, ``Centroid X µm``; tab, comma or semicolon
  (https://qupath.readthedocs.io, Exporting measurements).
- ImageJ, Analyze > Measure of a multi-point selection: ``X``, ``Y``, ``Label`` (the image, with
  "Display label"), and ``Counter`` (``savePoints`` in ij/plugin/filter/Analyzer.java of
  https://github.com/imagej/ImageJ). Coordinates are in the unit of the image's scale.
- makesense.ai, points as CSV: no header; label, x, y, image, width, height; rounded to whole
  numbers (src/logic/export/PointLabelsExport.ts of https://github.com/SkalskiP/make-sense).
- VIA (VGG Image Annotator) 1 and 2: ``filename``, ``region_shape_attributes`` and
  ``region_attributes``, json objects; version 1 writes ``#filename``. Points are ``cx``, ``cy``,
  rounded to whole numbers (https://www.robots.ox.ac.uk/~vgg/software/via).
- DeepForest: ``image_path``, ``label``, ``x``, ``y``, or a box ``xmin``, ``ymin``, ``xmax``,
  ``ymax`` (``read_file`` in src/deepforest/utilities.py of https://github.com/weecology/DeepForest).

Each reader takes ``path`` and the options ``image_dir``, ``list_images``, ``class_name``,
``encoding`` and ``skip_refused`` of :func:`mmp2seg.converters.point_formats.csv_points.read`, and
raises its errors.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from mmp2seg.converters.point_formats.csv_points import PointRows
from mmp2seg.converters.point_formats.reading import OTHER_SHAPES, check_choice, takes_center
from mmp2seg.converters.point_formats.tables import TableRow, first_row, read_table
from mmp2seg.converters.point_json import SourceImage
from mmp2seg.datasets.point_reading import number_pair
from mmp2seg.files.image_folder import image_names
from mmp2seg.files.json_reading import parse_json
from mmp2seg.files.text_reading import whole_number

_PIXEL_CENTER = 0.5
_BOX = ('xmin', 'ymin', 'xmax', 'ymax')
_MAKESENSE_FIELDS = 6


@dataclasses.dataclass(frozen=True)
class TableExport:
    """The table of a tool.

    Attributes:
        read: its reader.
        fits: whether the fields of the first line are those of this table.
    """

    read: Callable[..., list[SourceImage]]
    fits: Callable[[list[str]], bool]


def read_qupath(
    path: str | Path,
    *,
    image_dir: str | Path,
    list_images: bool = False,
    class_name: str | None = None,
    pixel_size: float | None = None,
    encoding: str | None = None,
    skip_refused: bool = False,
) -> list[SourceImage]:
    """Read QuPath's measurements; a row is an object, whose centroid is the point.

    Args:
        path: the table.
        image_dir: folder of the images.
        list_images: see the module.
        class_name: class of all points.
        pixel_size: of the images in µm, for tables with ``Centroid X µm``.
        encoding: see the module.
        skip_refused: see the module.

    Raises:
        ValueError: also for a table in µm without ``pixel_size``, and for a row of several points,
            whose centroid is none of them.
    """
    table = read_table(path, encoding=encoding)
    unit = 'px' if table.has('Centroid X px') else 'µm'
    x_column, y_column = f'Centroid X {unit}', f'Centroid Y {unit}'
    class_column = 'Classification' if table.has('Classification') else 'Class'
    table.require_columns(
        ['Image', x_column, y_column, *([] if class_name is not None else [class_column])]
    )
    if unit == 'µm' and pixel_size is None:
        raise ValueError(
            f'{path}: expected Centroid X px, got µm: --pixel-size UM is the size of a pixel in µm'
        )
    scale = 1 / pixel_size if unit == 'µm' and pixel_size else 1.0
    points = PointRows(image_dir, skip_refused=skip_refused)
    for row in table.rows():
        with points.reading(row.where):
            if row.get('Num points') not in ('', '1'):
                raise ValueError(
                    f'{row.where}: expected an object of one point, got {row["Num points"]} points '
                    'of which QuPath exports the mean: click each object as its own annotation'
                )
            x, y = row.numbers(x_column, y_column)
            label = class_name or row[class_column]
            points.add(_given(row, 'Image'), x * scale, y * scale, _labelled(label, row), row)
    return points.images(path, list_images=list_images)


def read_imagej(
    path: str | Path,
    *,
    image_dir: str | Path,
    list_images: bool = False,
    class_name: str | None = None,
    pixel_indices: bool | None = None,
    encoding: str | None = None,
    skip_refused: bool = False,
) -> list[SourceImage]:
    """Read ImageJ's results of a multi-point selection; remove the scale of the image before.

    Without a column ``Label``, the folder has to hold one image. Without ``class_name``, the class
    is the number of the counter.

    Args:
        path: the table.
        image_dir: folder of the images.
        list_images: see the module.
        class_name: class of all points.
        pixel_indices: coordinates are pixel indices, so .5 is added. None: if all of them are whole
            numbers, as ImageJ's without sub-pixel resolution.
        encoding: see the module.
        skip_refused: see the module.
    """
    table = read_table(path, encoding=encoding)
    table.require_columns(['X', 'Y'])
    if class_name is None and not table.has('Counter'):
        raise ValueError(f'{path}: expected a class, got no column Counter: --class-name NAME')
    only_image = '' if table.has('Label') else _only_image(path, image_dir)
    points = PointRows(image_dir, skip_refused=skip_refused)
    for row in table.rows():
        with points.reading(row.where):
            # 'cells.tif:0001-0003': after the name, the point and the slice
            file_name = only_image or _given(row, 'Label').split(':')[0]
            label = class_name or _labelled(row['Counter'], row)
            points.add(file_name, *row.numbers('X', 'Y'), label, row)
    if pixel_indices is None:
        pixel_indices = all(value.is_integer() for value in points.coordinates())
    points.shift(_PIXEL_CENTER if pixel_indices else 0.0)
    return points.images(path, list_images=list_images)


def read_makesense(
    path: str | Path,
    *,
    image_dir: str | Path,
    list_images: bool = False,
    encoding: str | None = None,
    skip_refused: bool = False,
) -> list[SourceImage]:
    """Read makesense.ai's points; the sizes that it states are compared with the images.

    Args:
        path: the table.
        image_dir: folder of the images.
        list_images: see the module.
        encoding: see the module.
        skip_refused: see the module.
    """
    table = read_table(path, encoding=encoding)
    if not _is_makesense(list(table.header)):
        raise ValueError(
            f'{path}:1: expected label, x, y, image, width, height without a header, got '
            f'{", ".join(table.header)!r:.80}'
        )
    points = PointRows(image_dir, skip_refused=skip_refused)
    for row in table.rows(has_header=False):
        with points.reading(row.where):
            label, x, y, name, width, height = row.values
            size = whole_number(height), whole_number(width)
            if None in size:
                raise ValueError(f'{row.where}: expected a size, got {width!r} x {height!r}')
            place = number_pair([x, y], where=row.where, text=True)
            points.add(name, *place, _labelled(label, row), row, size=size)
    return points.images(path, list_images=list_images)


def read_via(
    path: str | Path,
    *,
    image_dir: str | Path,
    list_images: bool = False,
    class_name: str | None = None,
    class_attribute: str | None = None,
    other_shapes: str = 'error',
    encoding: str | None = None,
    skip_refused: bool = False,
) -> list[SourceImage]:
    """Read the CSV of VIA 1 and 2; an image without regions is an image without points.

    Args:
        path: the table.
        image_dir: folder of the images.
        list_images: see the module.
        class_name: class of all points.
        class_attribute: the attribute of a region that is its class; None = its only one. Of an
            attribute of choices, the chosen one is the class.
        other_shapes: what to do with shapes that are not points: 'error', 'skip', or 'center' (take
            the centre of rectangles, circles and ellipses).
        encoding: see the module.
        skip_refused: see the module.
    """
    check_choice('other_shapes', other_shapes, OTHER_SHAPES)
    table = read_table(path, encoding=encoding)
    name_column = 'filename' if table.has('filename') else '#filename'
    table.require_columns([name_column, 'region_shape_attributes', 'region_attributes'])
    points = PointRows(image_dir, skip_refused=skip_refused)
    for row in table.rows():
        with points.reading(row.where):
            file_name = _given(row, name_column)
            shape = _json_object(row, 'region_shape_attributes')
            if not shape:
                points.add_image(file_name, row)
                continue
            kind = str(shape.get('name'))
            if kind != 'point' and not takes_center(
                kind,
                centered=('rect', 'circle', 'ellipse'),
                other_shapes=other_shapes,
                where=row.where,
            ):
                points.leave_out(f'{row.where}: a {kind}')
                points.add_image(file_name, row)
                continue
            label = class_name or _via_class(row, class_attribute)
            points.add(file_name, *_via_place(shape, kind, row.where), label, row)
    return points.images(path, list_images=list_images)


def read_deepforest(
    path: str | Path,
    *,
    image_dir: str | Path,
    list_images: bool = False,
    class_name: str | None = None,
    other_shapes: str = 'error',
    encoding: str | None = None,
    skip_refused: bool = False,
) -> list[SourceImage]:
    """Read DeepForest's annotations.

    Args:
        path: the table.
        image_dir: folder of the images.
        list_images: see the module.
        class_name: class of all points.
        other_shapes: what to do with boxes: 'error', 'skip', or 'center' (take their centre).
        encoding: see the module.
        skip_refused: see the module.
    """
    check_choice('other_shapes', other_shapes, OTHER_SHAPES)
    table = read_table(path, encoding=encoding)
    is_box = not table.has('x')
    columns = _BOX if is_box else ('x', 'y')
    table.require_columns(['image_path', *([] if class_name else ['label']), *columns])
    points = PointRows(image_dir, skip_refused=skip_refused)
    for row in table.rows():
        with points.reading(row.where):
            file_name = _given(row, 'image_path')
            if is_box and not takes_center(
                'box', centered=('box',), other_shapes=other_shapes, where=row.where
            ):
                points.leave_out(f'{row.where}: a box')
                points.add_image(file_name, row)
                continue
            x, y = row.numbers(*columns[:2])
            if is_box:
                right, bottom = row.numbers(*columns[2:])
                x, y = (x + right) / 2, (y + bottom) / 2
            points.add(file_name, x, y, class_name or _labelled(row['label'], row), row)
    return points.images(path, list_images=list_images)


def recognize_table(text: str) -> str | None:
    """Return the key of the table in :data:`EXPORTS` that fits a text; None if there is none."""
    header = first_row(text)
    return next((name for name, export in EXPORTS.items() if export.fits(header)), None)


def _has_columns(*columns: str, without: str | None = None) -> Callable[[list[str]], bool]:
    def fits(header: list[str]) -> bool:
        names = {name.strip().lower().removeprefix('#') for name in header}
        return names.issuperset(columns) and without not in names

    return fits


def _is_qupath(header: list[str]) -> bool:
    names = {name.strip() for name in header}
    return 'Image' in names and any(name.startswith('Centroid X ') for name in names)


def _is_imagej(header: list[str]) -> bool:
    # the first column, of the row numbers, has no name
    return bool(header) and not header[0].strip() and {'X', 'Y'} <= {n.strip() for n in header}


def _is_makesense(header: list[str]) -> bool:
    return len(header) == _MAKESENSE_FIELDS and all(
        header[place].strip().isdecimal() for place in (1, 2, 4, 5)
    )


EXPORTS: dict[str, TableExport] = {
    'qupath': TableExport(read_qupath, _is_qupath),
    'imagej': TableExport(read_imagej, _is_imagej),
    'makesense': TableExport(read_makesense, _is_makesense),
    'via': TableExport(
        read_via, _has_columns('filename', 'region_shape_attributes', 'region_attributes')
    ),
    'deepforest': TableExport(
        read_deepforest,
        lambda header: (
            _has_columns('image_path', 'label', 'x', 'y')(header)
            or _has_columns('image_path', 'label', *_BOX)(header)
        ),
    ),
}


def _given(row: TableRow, column: str) -> str:
    if not row[column]:
        raise ValueError(f'{row.where}: expected an image in {column}, got none')
    return row[column]


def _labelled(label: str, row: TableRow) -> str:
    if not label:
        raise ValueError(
            f'{row.where}: expected a class, got none (--class-name NAME gives all points one)'
        )
    return label


def _only_image(path: str | Path, image_dir: str | Path) -> str:
    names = image_names(image_dir)
    if len(names) != 1:
        raise ValueError(
            f'{path}: expected a column Label with the image (Analyze > Set Measurements > Display '
            f'label), or a folder of one image, got {len(names)} images'
        )
    return names[0]


def _json_object(row: TableRow, column: str) -> dict:
    content = parse_json(row[column] or '{}', f'{row.where}: {column}')
    if not isinstance(content, dict):
        raise ValueError(f'{row.where}: expected an object in {column}, got {content!r:.60}')
    return content


def _via_class(row: TableRow, attribute: str | None) -> str:
    attributes = _json_object(row, 'region_attributes')
    if attribute is None and len(attributes) > 1:
        raise ValueError(
            f'{row.where}: expected one attribute, the class, got {sorted(attributes)} '
            '(--class-attribute NAME selects it)'
        )
    value = next(iter(attributes.values()), '') if attribute is None else attributes.get(attribute)
    if isinstance(value, dict):  # a checkbox: {"cat": true}
        chosen = [str(key) for key, is_chosen in value.items() if is_chosen]
        value = chosen[0] if len(chosen) == 1 else ''
    return _labelled(value if isinstance(value, str) else '', row)


def _via_place(shape: dict, kind: str, where: str) -> tuple[float, float]:
    if kind != 'rect':
        return number_pair([shape.get('cx'), shape.get('cy')], where=where)
    left, top = number_pair([shape.get('x'), shape.get('y')], where=where)
    width, height = number_pair([shape.get('width'), shape.get('height')], where=where)
    return left + width / 2, top + height / 2
