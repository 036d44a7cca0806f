"""Points of Label Studio: its JSON and JSON-MIN exports.

Facts of the format. https://labelstud.io/tags/keypointlabels: a result has ``original_width``,
``original_height``, ``image_rotation`` and a ``value`` whose ``x``, ``y`` are per cent of the
image's size and whose ``keypointlabels`` name the class. https://labelstud.io/guide/export: JSON is
a list of tasks with ``data`` and ``annotations``, skipped ones with ``was_cancelled``; JSON-MIN has
the fields of ``data`` and, by the name of their tag, the values; label_studio_sdk's converter adds
``original_width`` and ``original_height`` to each. label_studio/data_import/models.py of
https://github.com/HumanSignal/label-studio: uploads get 8 hex digits and '-' before their names.
Coordinates are those of the canvas: continuous.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from mmp2seg.converters.point_formats.label_studio_tasks import Region, Task, read_tasks
from mmp2seg.converters.point_formats.other_shapes import OTHER_SHAPES, check_choice, takes_center
from mmp2seg.converters.point_formats.source_sizes import check_sizes, size_from_file
from mmp2seg.converters.point_json import SourceImage, SourcePoint, number_pair
from mmp2seg.files.atomic_write import write_json

_POINT = 'keypointlabels'
ANNOTATIONS = ('error', 'first', 'last')
_CENTERED = ('rectanglelabels', 'ellipselabels')
_UPLOAD_PREFIX = re.compile('^[0-9a-f]{8}-')


def read(
    path: str | Path,
    *,
    image_dir: str | Path | None = None,
    other_shapes: str = 'error',
    annotation: str = 'error',
    strip_prefix: bool = False,
    image_key: str | None = None,
) -> list[SourceImage]:
    """Read the annotations of all tasks; predictions and drafts are not looked at.

    Args:
        path: a JSON or JSON-MIN export, or the json of a single task.
        image_dir: folder of the images, to check their sizes, and to take them from where the
            export has none, as for tasks without results.
        other_shapes: what to do about regions that are no keypoints: 'error', 'skip', or 'center'
            (of rectangles that are not turned, and of ellipses).
        annotation: which annotation to take where a task has several that are not cancelled:
            'first' or 'last' in the file, or 'error'.
        strip_prefix: remove what Label Studio put before the names of uploaded files.
        image_key: field of a task's data with the image; None looks for 'image' and 'img'.

    Returns:
        list: an image per task; its name is that of the file in the URL, without folders.

    Raises:
        FileNotFoundError: no such file, or an image is missing in ``image_dir``.
        ValueError: malformed; names the file and the place.
    """
    check_choice('other_shapes', other_shapes, OTHER_SHAPES)
    check_choice('annotation', annotation, ANNOTATIONS)
    images = []
    for task in read_tasks(path, image_key=image_key):
        name = _UPLOAD_PREFIX.sub('', task.image_name) if strip_prefix else task.image_name
        regions = _choose(task, annotation)
        size = _size(regions) or size_from_file(name, image_dir=image_dir, where=task.where)
        images.append(_read_image(task, name, size, regions, other_shapes=other_shapes))
    check_sizes(images, image_dir=image_dir)
    return images


def write(
    images: Sequence[SourceImage],
    path: str | Path,
    *,
    image_prefix: str = '',
    from_name: str = 'label',
    to_name: str = 'image',
) -> None:
    """Write tasks with an annotation each, to import into a project with ``<KeyPointLabels>``.

    Coordinates come back up to the rounding of per cent: 1e-9 pixels.

    Args:
        images: reading them back gives their names without folders.
        path: the file, which appears whole or not at all.
        image_prefix: put before the names to make URLs, as '/data/local-files/?d=images/'.
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
                    width=0.5,  # of the dot, in per cent
                    keypointlabels=[point.label],
                ),
            )
            for index, point in enumerate(image.points)
        ]
        data = dict(image=image_prefix + quote(image.file_name))
        tasks.append(dict(id=number, data=data, annotations=[dict(result=results)]))
    write_json(path, tasks)


def _choose(task: Task, annotation: str) -> Sequence[Region]:
    if len(task.annotations) > 1 and annotation == 'error':
        raise ValueError(
            f'{task.where}: expected one annotation of the task, got {len(task.annotations)} '
            "(annotation: 'first' or 'last' takes one of them)"
        )
    if not task.annotations:
        return []
    return task.annotations[-1 if annotation == 'last' else 0]


def _size(regions: Sequence[Region]) -> tuple[int, int] | None:
    """``(H, W)`` that the regions agree on; None without regions that state it."""
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
    task: Task, name: str, size: tuple[int, int], regions: Sequence[Region], *, other_shapes: str
) -> SourceImage:
    height, width = size
    points, left_out = [], list(task.left_out)
    for region in regions:
        if region.rotation:
            raise ValueError(
                f'{region.where}: expected an image that is not turned, got image_rotation '
                f'{region.rotation!r}'
            )
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
        x, y = _per_cent(region)
        label = _label(region)
        points.append(SourcePoint(x / 100 * width, y / 100 * height, label, region.where))
    return SourceImage(name, height, width, points, task.where, left_out)


def _per_cent(region: Region) -> tuple[float, float]:
    """The point, or the centre of a rectangle, whose x, y are its corner, or of an ellipse."""
    value, where = region.value, region.where
    x, y = number_pair([value.get('x'), value.get('y')], where=where)
    if region.kind == 'rectanglelabels':
        width, height = number_pair([value.get('width'), value.get('height')], where=where)
        return x + width / 2, y + height / 2
    return x, y


def _label(region: Region) -> str:
    labels = region.value.get(region.kind)
    if not isinstance(labels, list) or len(labels) != 1 or not isinstance(labels[0], str):
        raise ValueError(
            f'{region.where}: expected {region.kind} to be a list of one label, got {labels!r:.60}'
        )
    return labels[0]
