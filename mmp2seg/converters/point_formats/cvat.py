"""Read and write points in CVAT's XML format 'CVAT for images 1.1'.

The format (https://docs.cvat.ai/docs/other/xml_format): ``<image>`` has ``id``, ``name`` (a
path), ``width`` and ``height``, and contains shapes with ``label``. ``<points>`` has
``points="x0,y0;x1,y1;..."``, ``<box>`` has ``xtl ytl xbr ybr`` (a rotation is about its centre),
and ``<tag>`` describes the whole image. Exports have two decimal places. Coordinates are continuous
canvas coordinates. The XML of a video has ``<track>`` instead. A ``<skeleton>`` holds a
``<points>`` per joint, and an ``<image>`` of a project has a ``subset``: its file is then in a
folder of this name (``_export_project_or_job`` in cvat/apps/dataset_manager/formats/cvat.py of
https://github.com/cvat-ai/cvat).
"""

import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.parsers import expat

from mmp2seg.converters.point_formats.reading import (
    OTHER_SHAPES,
    check_choice,
    collected,
    locate_images,
    takes_center,
    written_classes,
)
from mmp2seg.converters.point_json import SourceImage, SourcePoint
from mmp2seg.datasets.point_reading import number_pair
from mmp2seg.files.atomic_write import write_text
from mmp2seg.files.text_reading import whole_number

# attributes of two points of a shape; the centre is halfway between them
_CENTERED = {'box': (('xtl', 'ytl'), ('xbr', 'ybr')), 'ellipse': (('cx', 'cy'), ('cx', 'cy'))}


def read(
    path: str | Path,
    *,
    image_dir: str | Path | None = None,
    other_shapes: str = 'error',
    skip_refused: bool = False,
) -> list[SourceImage]:
    """Read the images of an XML; each coordinate pair of a ``<points>`` is a separate point.

    A skeleton of one point is a point of the skeleton's label. The name of an image of a project is
    ``SUBSET/NAME``, as in the exported folder ``images``; with ``image_dir``, it is ``NAME`` if
    only that is a file.

    Args:
        path: the ``annotations.xml`` of an export.
        image_dir: folder of the images; if given, their sizes are checked.
        other_shapes: what to do with shapes that are not points: 'error', 'skip', or 'center' (take
            the centre of boxes and ellipses).
        skip_refused: leave out what cannot be placed, and report it, instead of raising an error.

    Raises:
        FileNotFoundError: there is no such file, or an image is missing in ``image_dir``.
        ValueError: the file is malformed; the message names the file and the line, or the image and
            the shape.
    """
    check_choice('other_shapes', other_shapes, OTHER_SHAPES)
    if not Path(path).is_file():
        raise FileNotFoundError(f'{path}: there is no such file')
    images = [
        _read_image(
            element,
            where=where,
            image_dir=image_dir,
            other_shapes=other_shapes,
            skip_refused=skip_refused,
        )
        for element, where in _image_elements(path)
    ]
    return locate_images(images, image_dir=image_dir, skip_refused=skip_refused)


def write(
    images: Sequence[SourceImage], path: str | Path, *, classes: Sequence[str] | None = None
) -> None:
    """Write an XML file that can be uploaded to a CVAT task with these images.

    Coordinates are written with all digits.

    Args:
        images: the images with their points.
        path: the file to write; it is written atomically.
        classes: labels to list; None = the labels of the points. ``background`` is added for
            background clicks.
    """
    root = ET.Element('annotations')
    ET.SubElement(root, 'version').text = '1.1'
    labels = ET.SubElement(ET.SubElement(ET.SubElement(root, 'meta'), 'task'), 'labels')
    for name in written_classes(images, classes):
        label = ET.SubElement(labels, 'label')
        ET.SubElement(label, 'name').text = name
        ET.SubElement(label, 'type').text = 'points'
        ET.SubElement(label, 'attributes')
    for index, image in enumerate(images):
        size = dict(width=str(image.width), height=str(image.height))
        element = ET.SubElement(root, 'image', id=str(index), name=image.file_name, **size)
        for point in image.all_points:
            place = f'{float(point.x)!r},{float(point.y)!r}'
            attributes = dict(source='manual', occluded='0', points=place, z_order='0')
            ET.SubElement(element, 'points', label=point.label, **attributes)
    ET.indent(root)
    text = ET.tostring(root, encoding='unicode')
    write_text(path, f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n')


def _image_elements(path: str | Path) -> Iterator[tuple[ET.Element, str]]:
    """Yield each ``<image>`` with its place, and clear it afterwards to save memory."""
    depth = 0
    for event, element in _events(path):
        depth += 1 if event == 'start' else -1
        if event == 'start':
            if depth == 1 and element.tag != 'annotations':
                raise ValueError(f'{path}: expected <annotations>, got <{element.tag}>')
            if depth == 2 and element.tag == 'track':
                raise ValueError(
                    f"{path}: expected an export of 'CVAT for images 1.1', got <track>, "
                    'the export of a video'
                )
        elif element.tag == 'image':
            number, name = str(element.get('id')), str(element.get('name'))
            yield element, f'{path}: image {number:.20} ({name:.200})'
            element.clear()


def _events(path: str | Path) -> Iterator[tuple[str, ET.Element]]:
    """Yield the start and end events of the elements; errors name the file."""
    try:
        yield from ET.iterparse(path, events=('start', 'end'))
    except ET.ParseError as error:
        line, column = error.position
        reason = expat.ErrorString(error.code)
        raise ValueError(
            f'{path}: invalid xml, line {line} column {column + 1}: {reason}'
        ) from error
    except (LookupError, ValueError) as error:  # an encoding that Python's parser does not support
        raise ValueError(f'{path}: invalid xml, {error}') from error


def _read_image(
    element: ET.Element,
    *,
    where: str,
    image_dir: str | Path | None,
    other_shapes: str,
    skip_refused: bool,
) -> SourceImage:
    points: list[SourcePoint] = []
    left_out: list[str] = []
    counts: Counter = Counter()
    for shape in element:
        place = f'{where}: {shape.tag}[{counts[shape.tag]}]'
        counts[shape.tag] += 1
        if shape.tag == 'tag':
            continue
        with collected(left_out, skip=skip_refused):
            if shape.tag == 'points':
                points += _points(shape, where=place)
            elif shape.tag == 'skeleton' and len(joints := shape.findall('points')) == 1:
                points += _joint(shape, joints[0], where=place)
            elif takes_center(
                shape.tag, centered=tuple(_CENTERED), other_shapes=other_shapes, where=place
            ):
                points.append(_center(shape, where=place))
            else:
                left_out.append(f'{place}: a {shape.tag}')
    name = _attribute(element, 'name', where=where).replace('\\', '/')
    if subset := element.get('subset'):
        name = _name_in_subset(name, subset, image_dir)
    height, width = (_whole(element, side, where=where) for side in ('height', 'width'))
    return SourceImage(name, height, width, points, where, left_out)


def _name_in_subset(name: str, subset: str, image_dir: str | Path | None) -> str:
    """Return the name below the folder of the subset, unless only the name alone is a file."""
    inside = f'{subset}/{name}'
    if image_dir is None or (Path(image_dir) / inside).exists():
        return inside
    return name if (Path(image_dir) / name).is_file() else inside


def _joint(shape: ET.Element, joint: ET.Element, *, where: str) -> list[SourcePoint]:
    """Return the point of a skeleton's only joint."""
    if joint.get('outside') == '1':
        raise ValueError(
            f'{where}: expected a labelled point, got a skeleton whose point is outside'
        )
    label = _attribute(shape, 'label', where=where)
    return [SourcePoint(point.x, point.y, label, where) for point in _points(joint, where=where)]


def _points(shape: ET.Element, *, where: str) -> list[SourcePoint]:
    label = _attribute(shape, 'label', where=where)
    pairs = _attribute(shape, 'points', where=where).split(';')
    places = [where] if len(pairs) == 1 else [f'{where}, place {i}' for i in range(len(pairs))]
    return [
        SourcePoint(*number_pair(pair.split(','), where=place, text=True), label, place)
        for pair, place in zip(pairs, places, strict=True)
    ]


def _center(shape: ET.Element, *, where: str) -> SourcePoint:
    (left, top), (right, bottom) = (
        number_pair(
            [_attribute(shape, name, where=where) for name in names], where=where, text=True
        )
        for names in _CENTERED[shape.tag]
    )
    label = _attribute(shape, 'label', where=where)
    return SourcePoint((left + right) / 2, (top + bottom) / 2, label, where)


def _attribute(element: ET.Element, name: str, *, where: str) -> str:
    value = element.get(name)
    if not value:
        raise ValueError(f'{where}: expected an attribute {name!r}, got {value!r}')
    return value


def _whole(element: ET.Element, name: str, *, where: str) -> int:
    value = _attribute(element, name, where=where)
    number = whole_number(value)
    if number is None:
        raise ValueError(f'{where}: expected {name} to be a whole number, got {value!r:.60}')
    return number
