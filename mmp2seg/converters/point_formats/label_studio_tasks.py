"""Tasks of a Label Studio export, brought from its two forms into one."""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from mmp2seg.converters.point_formats.source_sizes import base_name
from mmp2seg.files.json_reading import read_json

_IMAGE_KEYS = ('image', 'img')
_LOCAL_FILE = re.compile(r'/local-files/?\?(?:.*&)?d=([^&]*)')


@dataclasses.dataclass(frozen=True, slots=True)
class Region:
    """A labelled place of an image, as the export has it.

    Attributes:
        kind: 'keypointlabels', 'rectanglelabels', ...
        value: what the export says of it; ``value[kind]`` are its labels.
        height: of the image, in pixels; None where the export does not state it.
        width: as ``height``.
        rotation: of the image, in degrees.
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
    """An image with its annotations, cancelled ones left out.

    Attributes:
        image_name: name of the file, without folders.
        annotations: of each, its regions.
        left_out: the cancelled annotations, a line each.
        where: file and place.
    """

    image_name: str
    annotations: Sequence[Sequence[Region]]
    left_out: Sequence[str]
    where: str


def read_tasks(path: str | Path, *, image_key: str | None = None) -> list[Task]:
    """Read the tasks of a JSON or a JSON-MIN export.

    Results that describe the whole image (choices, texts, ...) are passed over. Rows of a JSON-MIN
    with the same ``id`` are annotations of one task.

    Args:
        path: the export, or the json of a single task.
        image_key: field of the data with the image; None looks for 'image' and 'img'.

    Raises:
        FileNotFoundError: no such file.
        ValueError: malformed; names the file and the place.
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
    """Name of the file in a URL or path: '/data/local-files/?d=a/b%20c.jpg' -> 'b c.jpg'."""
    local_file = _LOCAL_FILE.search(url)
    return base_name(unquote(local_file[1] if local_file else urlsplit(url).path))


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
        raise ValueError(f'{where}: expected an object data, got {data!r:.60}')
    if not isinstance(annotations, list):
        raise ValueError(f'{where}: expected a list annotations, got {annotations!r:.60}')
    kept, left_out = [], []
    for index, annotation in enumerate(annotations):
        place = f'{where}.annotations[{index}]'
        results = annotation.get('result') if isinstance(annotation, dict) else None
        if not isinstance(results, list):
            raise ValueError(f'{place}: expected an object with a list result')
        if annotation.get('was_cancelled') or annotation.get('skipped'):
            left_out.append(f'{place}: cancelled')
            continue
        regions = [_region(result, f'{place}.result[{i}]') for i, result in enumerate(results)]
        kept.append([region for region in regions if region is not None])
    return Task(_image_of(data, where=where, image_key=image_key), kept, left_out, where)


def _region(result: object, where: str) -> Region | None:
    """The region of a result; None where it describes the whole image."""
    if not isinstance(result, dict) or not isinstance(result.get('type'), str):
        raise ValueError(f'{where}: expected an object with a type, got {result!r:.60}')
    value = result.get('value')
    if not isinstance(value, dict):
        if result['type'] == 'relation':
            return None
        raise ValueError(f'{where}: expected an object value, got {value!r:.60}')
    if not {'x', 'points', 'rle'} & value.keys() and not result['type'].endswith('labels'):
        return None
    size = (result.get('original_height'), result.get('original_width'))
    return Region(result['type'], value, *size, result.get('image_rotation', 0), where)


def _minimal_task(rows: Sequence[tuple[str, dict]], *, image_key: str | None) -> Task:
    where, first = rows[0]
    annotations = [_minimal_regions(row, place) for place, row in rows]
    return Task(_image_of(first, where=where, image_key=image_key), annotations, (), where)


def _minimal_regions(row: dict, where: str) -> list[Region]:
    """Regions of a row: objects with a list of labels, in lists named after their tags."""
    regions = []
    for tag, values in row.items():
        for index, value in enumerate(values if isinstance(values, list) else ()):
            if not isinstance(value, dict):
                continue
            kinds = [key for key in value if key.endswith('labels')]
            place = f'{where}.{tag}[{index}]'
            if len(kinds) != 1 and 'x' in value:
                raise ValueError(f'{place}: expected keypointlabels, got {value!r:.60}')
            if kinds:
                size = (value.get('original_height'), value.get('original_width'))
                regions.append(Region(kinds[0], value, *size, 0, place))
    return regions


def _image_of(data: dict, *, where: str, image_key: str | None) -> str:
    keys = _IMAGE_KEYS if image_key is None else (image_key,)
    for key in keys:
        if isinstance(data.get(key), str) and image_name(data[key]):
            return image_name(data[key])
    raise ValueError(
        f'{where}: expected an image in {" or ".join(keys)}, got the fields {sorted(data)} '
        '(image_key names the one)'
    )
