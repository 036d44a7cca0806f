"""Read points from Label Studio's JSON and JSON-MIN exports, and write them for import.

The format, by source. https://labelstud.io/tags/keypointlabels: a result has ``original_width``,
``original_height``, ``image_rotation`` and a ``value``. The value's ``x`` and ``y`` are per cent of
the image size, and its ``keypointlabels`` is the class. https://labelstud.io/guide/export: JSON is
a list of tasks with ``data`` and ``annotations``; skipped annotations have ``was_cancelled``. A row
of JSON-MIN has the fields of ``data`` and, under the names of the tags, the values;
label_studio_sdk's converter adds ``original_width`` and ``original_height`` to each value.
label_studio/data_import/models.py of https://github.com/HumanSignal/label-studio: the names of
uploaded files get a prefix of 8 hex digits and '-'. Coordinates are continuous canvas coordinates.

:func:`read_tasks` converts both exports to :class:`Task`.
"""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from mmp2seg.converters.point_formats.reading import (
    OTHER_SHAPES,
    UPLOAD_PREFIX,
    ImageNames,
    base_name,
    check_choice,
    collected,
    locate_images,
    size_from_file,
    takes_center,
)
from mmp2seg.converters.point_json import SourceImage, SourcePoint
from mmp2seg.datasets.point_reading import number_pair
from mmp2seg.files.atomic_write import write_json
from mmp2seg.files.json_reading import read_json

_POINT = 'keypointlabels'
ANNOTATIONS = ('error', 'first', 'last')
_CENTERED = ('rectanglelabels', 'ellipselabels')
# Results about a region or the image that are no region: per-region choices, texts, ...
# (https://labelstud.io/tags/choices, and the other tags with the option perRegion)
_ATTRIBUTES = (
    *('choices', 'textarea', 'rating', 'number', 'datetime', 'taxonomy', 'pairwise', 'ranker'),
    *('relation', 'chatmessage'),
)
# their keys in a row of JSON-MIN, whose values have no type
_ATTRIBUTE_KEYS = ('choices', 'text', 'rating', 'number', 'datetime', 'taxonomy')
IMAGE_KEYS = ('image', 'img')
_LOCAL_FILE = re.compile(r'/local-files/?\?(?:.*&)?d=([^&]*)')


@dataclasses.dataclass(frozen=True, slots=True)
class Region:
    """A labelled region of an image, as stored in the export.

    Attributes:
        kind: 'keypointlabels', 'rectanglelabels', ...
        value: the region's ``value`` in the export; ``value[kind]`` is the list of its labels.
        height: image height in pixels; None if the export does not state it.
        width: image width, like ``height``.
        rotation: rotation of the image in degrees.
        where: file and place.
    """

    kind: str
    value: dict
    height: object
    width: object
    rotation: object
    where: str


@dataclasses.dataclass(frozen=True, slots=True)
class Task:
    """An image with its annotations, except cancelled ones.

    Attributes:
        image_name: name of the image file, without folders.
        annotations: the regions of each annotation.
        left_out: a line for each cancelled annotation.
        where: file and place.
    """

    image_name: str
    annotations: Sequence[Sequence[Region]]
    left_out: Sequence[str]
    where: str


def read(
    path: str | Path,
    *,
    image_dir: str | Path | None = None,
    other_shapes: str = 'error',
    annotation: str = 'error',
    strip_prefix: bool = False,
    image_key: str | None = None,
    skip_refused: bool = False,
) -> list[SourceImage]:
    """Read the annotations of all tasks; predictions and drafts are ignored.

    Choices, texts, ratings and other attributes of a region or an image are passed over.

    Args:
        path: a JSON or JSON-MIN export, or the json of a single task.
        image_dir: folder of the images; if given, their sizes are checked. Sizes that the export
            does not state, as for tasks without results, are read from it.
        other_shapes: what to do with regions that are not keypoints: 'error', 'skip', or 'center'
            (take the centre of rectangles without rotation and of ellipses).
        annotation: which annotation to use if a task has several that are not cancelled: the
            'first' or 'last' in the file, or 'error'.
        strip_prefix: remove the prefix that Label Studio adds to the names of uploaded files. With
            ``image_dir``, it is removed if only the name without it is a file.
        image_key: field of a task's data that holds the image; None = 'image' or 'img'.
        skip_refused: leave out what cannot be placed, and report it, instead of raising an error.

    Returns:
        list: one image per task, named by the file name in the URL, without folders.

    Raises:
        FileNotFoundError: there is no such file, or an image is missing in ``image_dir``.
        ValueError: the export is malformed; the message names the file and the place.
    """
    check_choice('other_shapes', other_shapes, OTHER_SHAPES)
    check_choice('annotation', annotation, ANNOTATIONS)
    names = None if image_dir is None else ImageNames(image_dir)
    images = []
    for task in read_tasks(path, image_key=image_key):
        name = UPLOAD_PREFIX.sub('', task.image_name) if strip_prefix else task.image_name
        problems: list[str] = []
        with collected(problems, skip=skip_refused):
            name = name if names is None else names.find(name, where=task.where)
            regions = _choose(task, annotation)
            size = stated_size(regions)
            if size is None:
                size = size_from_file(name, image_dir=image_dir, where=task.where)
            options = dict(other_shapes=other_shapes, skip_refused=skip_refused)
            images.append(_read_image(task, name, size, regions, **options))
        if problems:
            images.append(SourceImage(name, 0, 0, (), task.where, missing=problems[0]))
    present = [image for image in images if not image.missing]
    located = locate_images(present, image_dir=image_dir, skip_refused=skip_refused)
    return [*located, *(image for image in images if image.missing)]


def write(
    images: Sequence[SourceImage],
    path: str | Path,
    *,
    image_prefix: str = '',
    from_name: str = 'label',
    to_name: str = 'image',
) -> None:
    """Write tasks with one annotation each, for import into a project with ``<KeyPointLabels>``.

    The conversion to per cent and back changes coordinates by at most 1e-9 pixels.

    Args:
        images: the images with their points. :func:`read` drops the folders in their names.
        path: the file to write; it is written atomically.
        image_prefix: prefix of the image names in URLs, such as '/data/local-files/?d=images/'.
        from_name: name of the ``<KeyPointLabels>`` tag.
        to_name: name of the ``<Image>`` tag, whose value is ``$image``.
    """
    tasks = []
    for number, image in enumerate(images, start=1):
        size = dict(original_width=image.width, original_height=image.height, image_rotation=0)
        results = [
            dict(
                id=f'point{number}_{index}',
                type='keypointlabels',
                from_name=from_name,
                to_name=to_name,
                **size,
                value=dict(
                    x=float(point.x) / image.width * 100,
                    y=float(point.y) / image.height * 100,
                    width=0.5,  # diameter of the dot in per cent
                    keypointlabels=[point.label],
                ),
            )
            for index, point in enumerate(image.all_points)
        ]
        data = dict(image=image_prefix + quote(image.file_name))
        tasks.append(dict(id=number, data=data, annotations=[dict(result=results)]))
    write_json(path, tasks)


def read_tasks(path: str | Path, *, image_key: str | None = None) -> list[Task]:
    """Read the tasks of a JSON or a JSON-MIN export.

    Results that describe the whole image (choices, texts, ...) are skipped. JSON-MIN rows with the
    same ``id`` are annotations of one task.

    Args:
        path: the export, or the json of a single task.
        image_key: field of the data that holds the image; None = 'image' or 'img'.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the export is malformed; the message names the file and the place.
    """
    entries = _read_entries(path)
    tasks: list[Task] = []
    rows: dict[object, list[tuple[str, dict]]] = {}
    for index, entry in enumerate(entries):
        where = f'{path}: tasks[{index}]'
        if not isinstance(entry, dict):
            raise ValueError(f'{where}: expected an object, got {entry!r:.60}')
        if 'annotations' in entry or 'data' in entry:
            tasks.append(_full_task(entry, where=where, image_key=image_key))
        else:
            rows.setdefault(str(entry.get('id', where)), []).append((where, entry))
    return tasks + [_minimal_task(of_task, image_key=image_key) for of_task in rows.values()]


def image_name(url: str) -> str:
    """Return the file name in a URL or path: '/data/local-files/?d=a/b%20c.jpg' -> 'b c.jpg'."""
    local_file = _LOCAL_FILE.search(url)
    if local_file:
        return base_name(unquote(local_file[1]))
    try:
        path = urlsplit(url).path
    except ValueError:  # such as 'http://[a.jpg'
        path = url
    return base_name(unquote(path))


def _read_entries(path: str | Path) -> list:
    content = read_json(path)
    if isinstance(content, dict):
        content = [content]
    if not isinstance(content, list):
        raise ValueError(f'{path}: expected a list of tasks, got a {type(content).__name__}')
    return content


def _full_task(entry: dict, *, where: str, image_key: str | None) -> Task:
    data, annotations = entry.get('data'), entry.get('annotations')
    if not isinstance(data, dict):
        raise ValueError(f"{where}: expected an object 'data', got {data!r:.60}")
    if not isinstance(annotations, list):
        raise ValueError(f"{where}: expected a list 'annotations', got {annotations!r:.60}")
    kept, left_out = [], []
    for index, annotation in enumerate(annotations):
        place = f'{where}.annotations[{index}]'
        results = annotation.get('result') if isinstance(annotation, dict) else None
        if not isinstance(results, list):
            raise ValueError(
                f"{place}: expected an object with a list 'result', got {annotation!r:.60}"
            )
        if annotation.get('was_cancelled') or annotation.get('skipped'):
            left_out.append(f'{place}: cancelled')
            continue
        regions = [read_region(result, f'{place}.result[{i}]') for i, result in enumerate(results)]
        kept.append([region for region in regions if region is not None])
    return Task(_image_of(data, where=where, image_key=image_key), kept, left_out, where)


def read_region(result: object, where: str) -> Region | None:
    """Return the region of a result, or None if it describes the whole image.

    Args:
        result: an entry of a ``result`` list.
        where: file and place, for messages.

    Raises:
        ValueError: it is not an object with a ``type`` and a ``value``.
    """
    if not isinstance(result, dict) or not isinstance(result.get('type'), str):
        raise ValueError(f"{where}: expected an object with a 'type', got {result!r:.60}")
    value = result.get('value')
    if result['type'] in _ATTRIBUTES:
        return None
    if not isinstance(value, dict):
        raise ValueError(f"{where}: expected an object 'value', got {value!r:.60}")
    if not {'x', 'points', 'rle'} & value.keys() and not result['type'].endswith('labels'):
        return None
    size = (result.get('original_height'), result.get('original_width'))
    return Region(result['type'], value, *size, result.get('image_rotation', 0), where)


def _minimal_task(rows: Sequence[tuple[str, dict]], *, image_key: str | None) -> Task:
    where, first = rows[0]
    annotations = [_minimal_regions(row, place) for place, row in rows]
    return Task(_image_of(first, where=where, image_key=image_key), annotations, (), where)


def _minimal_regions(row: dict, where: str) -> list[Region]:
    """Return the regions of a row: the objects with a list of labels in the row's lists."""
    regions = []
    for tag, values in row.items():
        for index, value in enumerate(values if isinstance(values, list) else ()):
            if not isinstance(value, dict):
                continue
            kinds = [key for key in value if key.endswith('labels')]
            place = f'{where}.{tag}[{index}]'
            if not kinds and any(key in value for key in _ATTRIBUTE_KEYS):
                continue
            if len(kinds) != 1 and 'x' in value:
                raise ValueError(f'{place}: expected keypointlabels, got {value!r:.60}')
            if kinds:
                size = (value.get('original_height'), value.get('original_width'))
                regions.append(Region(kinds[0], value, *size, 0, place))
    return regions


def _image_of(data: dict, *, where: str, image_key: str | None) -> str:
    keys = IMAGE_KEYS if image_key is None else (image_key,)
    for key in keys:
        if isinstance(data.get(key), str) and image_name(data[key]):
            return image_name(data[key])
    raise ValueError(
        f'{where}: expected an image in {" or ".join(keys)}, got the fields {sorted(data)} '
        '(--image-key FIELD selects one)'
    )


def _choose(task: Task, annotation: str) -> Sequence[Region]:
    if len(task.annotations) > 1 and annotation == 'error':
        raise ValueError(
            f'{task.where}: expected one annotation of the task, got {len(task.annotations)} '
            '(--annotation first or --annotation last takes one of them)'
        )
    if not task.annotations:
        return []
    return task.annotations[-1 if annotation == 'last' else 0]


def stated_size(regions: Sequence[Region]) -> tuple[int, int] | None:
    """Return the image size ``(H, W)`` that the regions state, or None if no region states one.

    Raises:
        ValueError: a size is invalid, or the regions state different sizes.
    """
    stated = [
        region for region in regions if region.height is not None and region.width is not None
    ]
    for region in stated:
        for side in (region.height, region.width):
            if not isinstance(side, int) or side <= 0:
                raise ValueError(f'{region.where}: expected a size in pixels, got {side!r:.60}')
        if (region.height, region.width) != (stated[0].height, stated[0].width):
            raise ValueError(
                f'{region.where}: expected the size of {stated[0].where}, '
                f'{stated[0].width} x {stated[0].height}, got {region.width} x {region.height}'
            )
    return (stated[0].height, stated[0].width) if stated else None


def _read_image(
    task: Task,
    name: str,
    size: tuple[int, int],
    regions: Sequence[Region],
    *,
    other_shapes: str,
    skip_refused: bool,
) -> SourceImage:
    height, width = size
    points, left_out = [], list(task.left_out)
    for region in regions:
        with collected(left_out, skip=skip_refused):
            require_upright(region)
            centered = _CENTERED[1:] if region.value.get('rotation') else _CENTERED
            if region.kind != _POINT and not takes_center(
                region.kind,
                point=_POINT,
                centered=centered,
                other_shapes=other_shapes,
                where=region.where,
            ):
                left_out.append(f'{region.where}: a {region.kind}')
                continue
            x, y = region_point(region, height, width)
            points.append(SourcePoint(x, y, region_label(region), region.where))
    return SourceImage(name, height, width, points, task.where, left_out)


def require_upright(region: Region) -> None:
    """Check that the user has not rotated the image.

    Raises:
        ValueError: it is rotated.
    """
    if region.rotation:
        raise ValueError(
            f'{region.where}: expected an image without rotation, got image_rotation '
            f'{region.rotation!r}'
        )


def region_point(region: Region, height: int, width: int) -> tuple[float, float]:
    """Return a point, or the centre of a rectangle or ellipse, as ``(x, y)`` in pixels.

    Raises:
        ValueError: the region has no two numbers.
    """
    x, y = _per_cent(region)
    return x / 100 * width, y / 100 * height


def _per_cent(region: Region) -> tuple[float, float]:
    """Return the position of a point, or the centre of a rectangle or ellipse, in per cent.

    The stored x and y are the corner of a rectangle and the centre of an ellipse.
    """
    value, where = region.value, region.where
    x, y = number_pair([value.get('x'), value.get('y')], where=where)
    if region.kind == 'rectanglelabels':
        width, height = number_pair([value.get('width'), value.get('height')], where=where)
        return x + width / 2, y + height / 2
    return x, y


def region_label(region: Region) -> str:
    """Return the class of a region.

    Raises:
        ValueError: it has none or several.
    """
    labels = region.value.get(region.kind)
    if not isinstance(labels, list) or len(labels) != 1 or not isinstance(labels[0], str):
        raise ValueError(
            f'{region.where}: expected {region.kind} to be a list of one label, got {labels!r:.60}'
        )
    return labels[0]
