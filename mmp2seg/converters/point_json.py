"""The point json, the common format of all point converters, and its in-memory form.

Layout of the file: COCO's ``images``, ``categories`` (ids 1..K) and ``annotations``, which have
``id``, ``image_id``, ``category_id`` and ``point`` ``[x, y]`` in continuous coordinates. Background
clicks, which say that no object is there, are neither annotations nor a category: an image with
some has ``background_points`` ``[[x, y], ...]``. Annotations with a true mask or box have
``supervision`` and ``segmentation`` or ``bbox`` (:mod:`mmp2seg.datasets.point_supervision`).
"""

import dataclasses
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from mmp2seg.datasets.class_list import class_names
from mmp2seg.datasets.coco_content import (
    BACKGROUND,
    annotation_place,
    check_coco_content,
    ordered_class_names,
    split_categories,
)
from mmp2seg.datasets.point_reading import (
    check_point_source,
    keypoint_shift,
    read_annotation_point,
    read_background_points,
)
from mmp2seg.datasets.point_supervision import (
    GIVEN_KEYS,
    all_objects_have_masks,
    read_given_mask,
)
from mmp2seg.datasets.voc_layout import numeric_image_ids
from mmp2seg.files.json_reading import read_json_object
from mmp2seg.ops.image_edge import onto_last_pixel

_SHOWN_PROBLEMS = 10


@dataclasses.dataclass(frozen=True, slots=True)
class SourcePoint:
    """A point as read from a source, not yet checked.

    Attributes:
        x: continuous coordinate in the image's frame, in pixels; a pixel's centre is at .5.
        y: coordinate like ``x``.
        label: name of the point's class.
        where: file and place, for error messages ('a.json: shapes[3]', 'points.csv:12').
        point_id: id of the point in a point json; None = the source has none.
        given: entries of the annotation of a true mask or box, ``supervision`` and ``segmentation``
            or ``bbox``; None = the point alone.
    """

    x: float
    y: float
    label: str
    where: str
    point_id: int | str | None = None
    given: Mapping[str, Any] | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class SourceImage:
    """An image with its points, in the order of the source.

    Attributes:
        file_name: path relative to the image folder.
        height: height in pixels; None = the source does not state it and no reader has found it.
        width: width in pixels, as ``height``.
        points: points of the image. An image without points trains the background. As read from
            an annotation tool, points of the class ``background`` are among them, and
            :func:`assemble_point_json` decides whether they are background clicks.
        where: file and place, for error messages.
        left_out: shapes that the reader skipped, one line each, with place and reason.
        background_points: background clicks of a point json, with the label ``background``.
        image_id: id of the image in a point json; None = the source has none.
        missing: why the image cannot be used, '' if it can. Its points are refused with this
            reason, and it is not listed.
        complete: all objects of the image have true masks.
    """

    file_name: str
    height: int
    width: int
    points: Sequence[SourcePoint]
    where: str
    left_out: Sequence[str] = ()
    background_points: Sequence[SourcePoint] = ()
    image_id: int | str | None = None
    missing: str = ''
    complete: bool = False

    @property
    def all_points(self) -> list[SourcePoint]:
        """The points, and the background clicks as points of the class ``background``."""
        return [*self.points, *self.background_points]


@dataclasses.dataclass(frozen=True)
class PointReport:
    """Counts of a conversion.

    Attributes:
        num_images: number of images in the file.
        num_empty: number of these images that have no point.
        num_points: number of points by class name, including classes without a point.
        refused: points and shapes that the reader or the checks left out, one line each, with place
            and reason.
        num_background: number of background clicks.
    """

    num_images: int
    num_empty: int
    num_points: dict[str, int]
    refused: tuple[str, ...]
    num_background: int = dataclasses.field(default=0, kw_only=True)

    def __str__(self) -> str:
        """Return a summary for the terminal."""
        total = sum(self.num_points.values())
        lines = [f'{self.num_images} images ({self.num_empty} without points), {total} points']
        lines += [f'  {name}: {count}' for name, count in self.num_points.items()]
        if self.num_background:
            lines.append(f'{self.num_background} background clicks')
        if self.refused:
            lines.append(describe_problems(self.refused, f'{len(self.refused)} points left out'))
        return '\n'.join(lines)


def assemble_point_json(
    images: Iterable[SourceImage],
    *,
    classes: Sequence[str] | None = None,
    description: str = 'points',
    where: str | Path | None = None,
    skip_refused: bool = False,
    allow_empty: bool = False,
) -> tuple[dict, PointReport]:
    """Check the points of a source and build the point json.

    A point is refused if its class is not in ``classes``, if it is not finite or not inside its
    image, or if an earlier point of the image has the same position and class. A point on the right
    or the lower edge is moved onto the last pixel (:mod:`mmp2seg.ops.image_edge`).

    Points of the class ``background`` are background clicks, unless ``classes`` contains this name.
    A background click is refused if it is not finite, not inside its image, or in the same pixel as
    a point of the image. Of several at one position, one is kept.

    Args:
        images: all images of the source; they are iterated once.
        classes: names of the K classes, in order; None = the sorted classes of the points without
            ``background``.
        description: text for the json's ``info``.
        where: the source, for an error that concerns all of it; None = ``description``.
        skip_refused: leave refused points out and report them, instead of raising an error.
        allow_empty: build a json without a single point or background click.

    Returns:
        tuple: content of the json, and the counts. Image ids are those of the source if all images
        have one. Otherwise they are the digits of the names if the resulting numbers are unique
        ('2007_000032' -> 2007000032), otherwise 1, 2, ... Point ids are those of the source if all
        points have one, otherwise 1, 2, ...

    Raises:
        ValueError: an image is listed twice or has no size, a class name is repeated,
            ``background`` is a class and the source is a point json with background clicks, or,
            without ``skip_refused``, points are refused; the message names the places. Also if
            there is neither a point nor a background click, without ``allow_empty``.
    """
    classes = None if classes is None else class_names(classes)
    images = [_with_edge_points(image) for image in images]
    refused = [line for image in images for line in _missing_lines(image)]
    left_out = [line for image in images for line in image.left_out]
    images = [image for image in images if not image.missing]
    _check_images(images)
    if classes is None:
        labels = {point.label for image in images for point in image.points}
        classes = sorted(labels - {BACKGROUND})
    category_ids = {name: number for number, name in enumerate(classes, start=1)}
    image_ids = _image_ids(images)
    has_ids = all(point.point_id is not None for image in images for point in image.points)
    entries: list[dict] = []
    annotations: list[dict] = []
    for image_id, image in zip(image_ids, images, strict=True):
        points, clicks = _split(image, category_ids)
        points, refused_points = _accept_points(points, image, category_ids)
        places, refused_clicks = _accept_clicks(clicks, image, points)
        refused += [*refused_points, *refused_clicks]
        annotations += [
            dict(
                id=point.point_id if has_ids else number,
                image_id=image_id,
                category_id=category_ids[point.label],
                point=[float(point.x), float(point.y)],
                **(point.given or {}),
            )
            for number, point in enumerate(points, start=len(annotations) + 1)
        ]
        entry = dict(id=image_id, file_name=image.file_name, height=image.height, width=image.width)
        if image.complete and not refused_points:
            entry['supervision'] = 'mask'
        entries.append({**entry, 'background_points': places} if places else entry)
    if refused and not skip_refused:
        title = f'{len(refused)} points cannot be used (--skip-refused leaves them out)'
        raise ValueError(describe_problems(refused, title))
    has_clicks = any('background_points' in entry for entry in entries)
    if not annotations and not has_clicks and not allow_empty:
        raise ValueError(
            no_point_message(str(where or description), len(images), [*left_out, *refused])
        )
    counts = Counter(annotation['category_id'] for annotation in annotations)
    report = PointReport(
        num_images=len(images),
        num_empty=len(images) - len({annotation['image_id'] for annotation in annotations}),
        num_points={name: counts[number] for name, number in category_ids.items()},
        refused=(*left_out, *refused),
        num_background=sum(len(entry.get('background_points', ())) for entry in entries),
    )
    content = dict(
        info=dict(description=description),
        images=entries,
        categories=[dict(id=number, name=name) for name, number in category_ids.items()],
        annotations=annotations,
    )
    return content, report


def read_point_json(
    path: str | Path, *, point_source: str = 'point'
) -> tuple[list[SourceImage], list[str]]:
    """Read the points of a COCO json, and its class names in the order of their ids.

    Images, and the points of an image, are in the order of the file. Crowd annotations are left
    out, as in ``PointCocoDataset``.

    Args:
        path: COCO json; its images need ``height`` and ``width``.
        point_source: where an annotation's point is, see ``read_annotation_point``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not a COCO json, an id or a name is repeated, or an annotation has
            no point, an unknown image or category, or not what its ``supervision`` says; the
            message names the file and the place.
    """
    check_point_source(point_source)
    content = read_json_object(
        path,
        lists=('images', 'categories', 'annotations'),
        drop=('segmentation',),
        unless='supervision',
    )
    return parse_point_json(path, content, point_source=point_source)


def parse_point_json(
    path: str | Path, content: Mapping[str, list], *, point_source: str = 'point'
) -> tuple[list[SourceImage], list[str]]:
    """Return the points of the content of a COCO json; see :func:`read_point_json`.

    Args:
        path: path of the file, for error messages.
        content: the lists ``images``, ``categories`` and ``annotations`` of the file.
        point_source: where an annotation's point is, see ``read_annotation_point``.
    """
    check_coco_content(path, content, image_keys=('height', 'width'))
    names = {category['id']: category['name'] for category in content['categories']}
    image_of_id = {image['id']: image for image in content['images']}
    points: dict[int, list[SourcePoint]] = {image_id: [] for image_id in image_of_id}
    shift = keypoint_shift(content) if point_source == 'keypoints' else 0.0
    for index, annotation in enumerate(content['annotations']):
        if annotation.get('iscrowd', 0):
            continue
        where = annotation_place(path, index, annotation)
        x, y = read_annotation_point(
            annotation, point_source=point_source, where=where, shift=shift
        )
        label = names[annotation['category_id']]
        given = _given_entries({**annotation, 'point': [x, y]}, image_of_id, where)
        point = SourcePoint(x, y, label, where, annotation.get('id'), given)
        points[annotation['image_id']].append(point)
    images = [
        dataclasses.replace(
            image,
            background_points=_background_clicks(image, entry),
            image_id=entry['id'],
            complete=all_objects_have_masks(
                entry,
                ((point.given or {}).get('supervision', 'point') for point in image.points),
                where=image.where,
            ),
        )
        for image, entry in zip(
            coco_source_images(path, content['images'], points), content['images'], strict=True
        )
    ]
    return images, ordered_class_names(split_categories(content)[0])


def coco_source_images(
    path: str | Path,
    images: Sequence[Mapping],
    points: Mapping[int, Sequence[SourcePoint]],
    *,
    left_out: Mapping[int, Sequence[str]] | None = None,
) -> list[SourceImage]:
    """Return the images of a COCO json with their points.

    Args:
        path: path of the file, for error messages.
        images: entries of the json with ``id``, ``file_name``, ``height`` and ``width``.
        points: points by image id.
        left_out: lines of skipped annotations by image id; None = none.
    """
    return [
        SourceImage(
            image['file_name'],
            image['height'],
            image['width'],
            points[image['id']],
            f'{path}: images[{index}]',
            left_out[image['id']] if left_out else (),
        )
        for index, image in enumerate(images)
    ]


def no_point_message(
    what: str, num_images: int, left_out: Sequence[str] = (), *, expected: str = 'a point'
) -> str:
    """Return the error of a result without a single point.

    Args:
        what: the source.
        num_images: its images.
        left_out: lines about what was left out.
        expected: what is missing.
    """
    message = (
        f'{what}: expected {expected}, got none in {num_images} images (--allow-empty goes on '
        'without)'
    )
    if not left_out:
        return message
    return describe_problems(left_out, f'{message}; {len(left_out)} left out')


def describe_problems(problems: Sequence[str], title: str) -> str:
    """Return a title followed by the first ten problems, one line each."""
    more = len(problems) - _SHOWN_PROBLEMS
    lines = [f'{title}:', *(f'  {line}' for line in problems[:_SHOWN_PROBLEMS])]
    return '\n'.join(lines + ([f'  ... and {more} more'] if more > 0 else []))


def _with_edge_points(image: SourceImage) -> SourceImage:
    """Return the image with its points and clicks moved from the right and lower edge."""
    if not (isinstance(image.height, int) and isinstance(image.width, int)):
        return image  # an error of _check_images
    moved = [
        [_off_the_edge(point, image.height, image.width) for point in points]
        for points in (image.points, image.background_points)
    ]
    return dataclasses.replace(image, points=moved[0], background_points=moved[1])


def _off_the_edge(point: SourcePoint, height: int, width: int) -> SourcePoint:
    if point.x < width and point.y < height:
        return point
    ((x, y),) = onto_last_pixel([[point.x, point.y]], height, width).tolist()
    return dataclasses.replace(point, x=x, y=y)


def _missing_lines(image: SourceImage) -> list[str]:
    if not image.missing:
        return []
    lines = [f'{point.where}: {image.missing}' for point in image.all_points]
    return lines or [image.missing]


def _check_images(images: Sequence[SourceImage]) -> None:
    places: dict[str, str] = {}
    for image in images:
        for side in (image.height, image.width):
            if not isinstance(side, int) or side <= 0:
                raise ValueError(
                    f'{image.where}: expected a size of positive integers for '
                    f'{image.file_name}, got height {image.height!r}, width {image.width!r}'
                )
        if image.file_name in places:
            raise ValueError(
                f'{image.where}: image {image.file_name} duplicates {places[image.file_name]}'
            )
        places[image.file_name] = image.where


def _given_entries(
    annotation: Mapping[str, Any], image_of_id: Mapping[Any, Mapping[str, Any]], where: str
) -> dict[str, Any] | None:
    """Return the entries of a true mask or box, which is checked; None for a point alone."""
    image = image_of_id[annotation['image_id']]
    kind, _ = read_given_mask(annotation, image=image, where=where)
    if kind == 'point':
        return None
    return {key: annotation[key] for key in ('supervision', *GIVEN_KEYS[kind])}


def _background_clicks(image: SourceImage, entry: Mapping) -> list[SourcePoint]:
    return [
        SourcePoint(x, y, BACKGROUND, f'{image.where}: background_points[{index}]')
        for index, (x, y) in enumerate(read_background_points(entry, where=image.where))
    ]


def _image_ids(images: Sequence[SourceImage]) -> list[int] | list[int | str]:
    ids = [image.image_id for image in images if image.image_id is not None]
    if len(ids) == len(images):
        return ids
    return numeric_image_ids([PurePath(image.file_name).stem for image in images])


def _split(
    image: SourceImage, category_ids: Mapping[str, int]
) -> tuple[list[SourcePoint], list[SourcePoint]]:
    """Return the points and the background clicks of an image, not yet checked."""
    if BACKGROUND not in category_ids:
        clicks = [point for point in image.points if point.label == BACKGROUND]
        points = [point for point in image.points if point.label != BACKGROUND]
        return points, [*clicks, *image.background_points]
    if image.background_points:
        raise ValueError(
            f'{image.where}: expected no background_points, as {BACKGROUND!r} is one of the '
            f'classes {list(category_ids)}, got {len(image.background_points)}'
        )
    return list(image.points), []


def _accept_points(
    points: Iterable[SourcePoint], image: SourceImage, category_ids: Mapping[str, int]
) -> tuple[list[SourcePoint], list[str]]:
    """Return the points that can be used, and a line for each other one."""
    accepted: list[SourcePoint] = []
    refused: list[str] = []
    seen: set[tuple] = set()
    for point in points:
        key = (point.x, point.y, point.label)
        reason = _why_refused(point, image, category_ids, is_known=key in seen)
        seen.add(key)
        if reason:
            refused.append(f'{point.where}: {reason}')
        else:
            accepted.append(point)
    return accepted, refused


def _accept_clicks(
    clicks: Iterable[SourcePoint], image: SourceImage, points: Iterable[SourcePoint]
) -> tuple[list[list[float]], list[str]]:
    """Return the places of the background clicks that can be used, and a line for each other one.

    Args:
        clicks: background clicks of the image.
        points: accepted points of the image.
    """
    label_at = {_pixel(point): point.label for point in points}
    accepted: dict[tuple[float, float], None] = {}  # a dict keeps the order
    refused: list[str] = []
    for click in clicks:
        reason = _why_misplaced(click, image)
        if not reason and _pixel(click) in label_at:
            reason = (
                f'a background click at ({click.x:g}, {click.y:g}) in {image.file_name}, in the '
                f'pixel of a {label_at[_pixel(click)]!r}'
            )
        if reason:
            refused.append(f'{click.where}: {reason}')
        else:
            accepted[float(click.x), float(click.y)] = None
    return [list(place) for place in accepted], refused


def _pixel(point: SourcePoint) -> tuple[int, int]:
    return math.floor(point.x), math.floor(point.y)


def _why_refused(
    point: SourcePoint, image: SourceImage, category_ids: Mapping[str, int], *, is_known: bool
) -> str | None:
    if point.label not in category_ids:
        return f'class {point.label!r} is not one of {list(category_ids)}'
    if reason := _why_misplaced(point, image):
        return reason
    if is_known:
        return f'a second {point.label!r} at ({point.x:g}, {point.y:g}) in {image.file_name}'
    return None


def _why_misplaced(point: SourcePoint, image: SourceImage) -> str | None:
    if not (math.isfinite(point.x) and math.isfinite(point.y)):
        return f'expected finite coordinates, got ({point.x}, {point.y})'
    if not (0 <= point.x < image.width and 0 <= point.y < image.height):
        return (
            f'point ({point.x:g}, {point.y:g}) is outside of {image.file_name}, '
            f'{image.width} x {image.height} pixels'
        )
    return None
