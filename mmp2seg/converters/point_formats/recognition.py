"""Recognize the format of a points file by its content.

A file name proves nothing, so it is not looked at. Content that fits no format is an error; no
format is a fallback. What is recognized can still be malformed: that is for its reader to say.
"""

import json
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path

from mmp2seg.converters.point_formats.csv_points import COLUMNS, has_header
from mmp2seg.converters.point_formats.label_studio import IMAGE_KEYS
from mmp2seg.converters.point_formats.labelme import json_files
from mmp2seg.converters.point_formats.table_exports import recognize_table
from mmp2seg.files.json_reading import parse_json
from mmp2seg.files.text_reading import decode_text, printable

POINT_JSON = 'point-json'
_COCO_LISTS = ('images', 'categories', 'annotations')
# Fields that Label Studio adds to every row of JSON-MIN (convert_to_json_min of label_studio_sdk).
_ROW_FIELDS = ('annotation_id', 'annotator', 'lead_time')
_EXPECTED = (
    'a point json (images, categories, annotations with a point)',
    f'a table with the header {",".join(COLUMNS)} (comma, semicolon or tab)',
    'a table of QuPath, ImageJ, makesense.ai, VIA or DeepForest',
    "an XML of 'CVAT for images 1.1'",
    'a folder of LabelMe jsons',
    'a JSON or JSON-MIN export of Label Studio',
    'a COCO json with keypoints',
)


def recognize_format(
    path: str | Path,
    *,
    image_key: str | None = None,
    encoding: str | None = None,
) -> str:
    """Return the format of a points file or folder.

    A COCO json is a point json if an annotation has a ``point``, or if there are no annotations
    (crowds do not count); it has keypoints if an annotation has ``keypoints`` and none a ``point``,
    or if there are no annotations and a category has ``keypoints``.

    Args:
        path: the file, or the folder of LabelMe jsons.
        image_key: field of a Label Studio task's data that holds the image; None = 'image' or
            'img'.
        encoding: of the text of a table; None = UTF-8, or UTF-16 with a byte order mark.

    Returns:
        str: :data:`POINT_JSON`, or a key of :data:`mmp2seg.converters.point_formats.READERS`.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: the content fits no format, or it is json or XML that cannot be parsed; the
            message names the file, and what was expected and found, or the line.
    """
    path = Path(path)
    if path.is_dir():
        return _of_folder(path)
    if not path.is_file():
        raise FileNotFoundError(f'{path}: there is no such file or folder')
    try:
        text = decode_text(path.read_bytes(), where=path, encoding=encoding)
    except ValueError as error:
        reason = str(error).removeprefix(f'{path}: expected text in UTF-8, got ')
        raise _unknown(path, f'no text in UTF-8: {reason}') from error
    start = text.lstrip()[:1]
    if start == '<':
        return _of_xml(path)
    if start and start in '[{':
        return _of_json(path, parse_json(text, path, drop=('segmentation',)), image_key=image_key)
    if has_header(text):
        return 'csv'
    if (table := recognize_table(text)) is not None:
        return table
    raise _unknown(path, f'the first line {text.splitlines()[0]!r:.60}' if start else 'no text')


def _of_folder(path: Path) -> str:
    files = json_files(path)
    if not files:
        raise _unknown(path, 'a folder without a json')
    content = parse_json(decode_text(files[0].read_bytes(), where=files[0]), files[0])
    if isinstance(content, dict) and isinstance(content.get('shapes'), list):
        return 'labelme'
    raise _unknown(path, f'a folder with {files[0].name}, {_describe(content)}')


def _of_xml(path: Path) -> str:
    try:
        _, root = next(ET.iterparse(path, events=('start',)))
    except (ET.ParseError, LookupError, ValueError) as error:  # also an unknown encoding
        raise ValueError(f'{path}: invalid xml, {error}') from error
    if root.tag != 'annotations':
        raise _unknown(path, f'an XML of <{root.tag}>')
    return 'cvat'


def _of_json(path: Path, content: object, *, image_key: str | None) -> str:
    if isinstance(content, dict):
        if all(isinstance(content.get(key), list) for key in _COCO_LISTS):
            return _of_coco(path, content)
        if isinstance(content.get('shapes'), list):
            raise _unknown(path, 'one json of LabelMe: give its folder')
    tasks = content if isinstance(content, list) else [content]
    keys = IMAGE_KEYS if image_key is None else (image_key,)
    if any(isinstance(task, dict) and _is_task(task, keys) for task in tasks):
        return 'label-studio'
    raise _unknown(path, _describe(content))


def _of_coco(path: Path, content: dict) -> str:
    if 'dropped_points' in content:  # the annotations are only the points that got a mask
        raise _unknown(path, 'a pseudo label json: give the points that it was made from')
    objects = [
        annotation
        for annotation in content['annotations']
        if not (isinstance(annotation, dict) and annotation.get('iscrowd', 0))
    ]
    keys = {key for annotation in objects if isinstance(annotation, dict) for key in annotation}
    if not objects and any(
        isinstance(category, dict) and 'keypoints' in category for category in content['categories']
    ):
        return 'coco-keypoints'
    if 'point' in keys or not objects:
        return POINT_JSON
    if 'keypoints' in keys:
        return 'coco-keypoints'
    raise _unknown(
        path,
        'a COCO json whose annotations have neither point nor keypoints '
        '(tools/dataset_converters/instances_to_points.py takes points from boxes or masks)',
    )


def _is_task(entry: Mapping, image_keys: tuple[str, ...]) -> bool:
    """Return whether an entry is a task of Label Studio's JSON, or a row of its JSON-MIN."""
    if isinstance(entry.get('data'), dict) and isinstance(entry.get('annotations'), list):
        return True
    # COCO's results and other lists of points have an image and a label too.
    is_row = any(field in entry for field in _ROW_FIELDS) or any(
        isinstance(value, dict) and any(key.endswith('labels') for key in value)
        for values in entry.values()
        if isinstance(values, list)
        for value in values
    )
    return is_row and any(isinstance(entry.get(key), str) for key in image_keys)


def _describe(content: object) -> str:
    if isinstance(content, dict):
        return f'a json object with the keys {_short(list(content))}'
    if isinstance(content, list) and content and isinstance(content[0], dict):
        return f'a json list of objects with the keys {_short(list(content[0]))}'
    return f'the json {_short(content)}'


def _short(content: object) -> str:
    text = json.dumps(content, ensure_ascii=False)
    return text if len(text) <= 80 else f'{text[:80]} ...'


def _unknown(path: Path, found: str) -> ValueError:
    return ValueError(
        f'{path}: expected {", ".join(_EXPECTED[:-1])} or {_EXPECTED[-1]}, got {printable(found)}'
    )
