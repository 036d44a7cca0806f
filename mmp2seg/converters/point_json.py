"""Points of any source as one COCO-style point json: what every converter reads into and writes.

Layout of the file: COCO's ``images``, ``categories`` (ids 1..K) and ``annotations``, which have
``id``, ``image_id``, ``category_id`` and ``point`` ``[x, y]`` in continuous coordinates.
"""

import dataclasses
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath

from mmp2seg.datasets.coco_content import check_coco_content
from mmp2seg.datasets.layouts import numeric_image_ids
from mmp2seg.files.json_reading import read_json_object

_SHOWN_PROBLEMS = 10


@dataclasses.dataclass(frozen=True, slots=True)
class SourcePoint:
    """A point as a source has it, not yet checked.

    Attributes:
        x: continuous coordinate in the image's frame, in pixels; a pixel's centre is at .5.
        y: as ``x``.
        label: name of its class.
        where: the place it was read from, for errors ('a.json: shapes[3]', 'points.csv:12').
    """

    x: float
    y: float
    label: str
    where: str


@dataclasses.dataclass(frozen=True, slots=True)
class SourceImage:
    """An image with its points, in the order of the source.

    Attributes:
        file_name: relative to the image folder.
        height: in pixels.
        width: in pixels.
        points: may be empty: such an image trains the background.
        where: the place it was read from, for errors.
        left_out: what its reader was told to leave out, a line each: place and reason.
    """

    file_name: str
    height: int
    width: int
    points: Sequence[SourcePoint]
    where: str
    left_out: Sequence[str] = ()


@dataclasses.dataclass(frozen=True)
class PointReport:
    """Counts of a conversion.

    Attributes:
        num_images: images in the file.
        num_empty: of these, images without a point.
        num_points: points in the file, by class name, also of classes without a point.
        refused: what could not be placed and was left out, by the reader or here, a line each:
            place and reason.
    """

    num_images: int
    num_empty: int
    num_points: dict[str, int]
    refused: tuple[str, ...]

    def __str__(self) -> str:
        """One page for a terminal."""
        total = sum(self.num_points.values())
        lines = [f'{self.num_images} images ({self.num_empty} without points), {total} points']
        lines += [f'  {name}: {count}' for name, count in self.num_points.items()]
        return '\n'.join([*lines, *_shorten(self.refused, 'points left out')])


def assemble_point_json(
    images: Iterable[SourceImage],
    *,
    classes: Sequence[str] | None = None,
    description: str = 'points',
    skip_refused: bool = False,
) -> tuple[dict, PointReport]:
    """Check the points of a source and make one json of them.

    A point is refused when its class is not among ``classes``, when it is not finite or not inside
    its image, and when an earlier one of the image has its place and class.

    Args:
        images: all images of the source; read once.
        classes: names of the K classes, in order; None takes the classes of the points, sorted.
        description: goes into ``info``.
        skip_refused: leave refused points out and report them, instead of stopping.

    Returns:
        tuple: content of the json, and the counts. Images are numbered by their names' digits
        where these differ ('2007_000032' -> 2007000032), else from 1; points from 1.

    Raises:
        ValueError: for an image listed twice or without size, a class named twice, and, unless
            ``skip_refused``, for refused points; names the places.
    """
    images = list(images)
    _check_images(images)
    if classes is None:
        classes = sorted({point.label for image in images for point in image.points})
    if len(set(classes)) < len(classes):
        raise ValueError(f'expected classes that differ, got {list(classes)}')
    category_ids = {name: number for number, name in enumerate(classes, start=1)}
    image_ids = numeric_image_ids([PurePath(image.file_name).stem for image in images])
    annotations: list[dict] = []
    refused: list[str] = []
    for image_id, image in zip(image_ids, images, strict=True):
        seen: set[tuple] = set()
        for point in image.points:
            key = (point.x, point.y, point.label)
            reason = _why_refused(point, image, category_ids, is_known=key in seen)
            seen.add(key)
            if reason:
                refused.append(f'{point.where}: {reason}')
                continue
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=image_id,
                    category_id=category_ids[point.label],
                    point=[float(point.x), float(point.y)],
                )
            )
    if refused and not skip_refused:
        raise ValueError('\n'.join(_shorten(refused, 'points cannot be placed')))
    counts = Counter(annotation['category_id'] for annotation in annotations)
    report = PointReport(
        num_images=len(images),
        num_empty=len(images) - len({annotation['image_id'] for annotation in annotations}),
        num_points={name: counts[number] for name, number in category_ids.items()},
        refused=(*(line for image in images for line in image.left_out), *refused),
    )
    content = dict(
        info=dict(description=description),
        images=[
            dict(id=image_id, file_name=image.file_name, height=image.height, width=image.width)
            for image_id, image in zip(image_ids, images, strict=True)
        ],
        categories=[dict(id=number, name=name) for name, number in category_ids.items()],
        annotations=annotations,
    )
    return content, report


def read_point_json(path: str | Path) -> tuple[list[SourceImage], list[str]]:
    """Images with points, and the class names in the order of their ids, of a point json.

    Crowd annotations are left out, as by ``PointCocoDataset``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no COCO json, an id or a name occurs twice, or an annotation has no point
            or an unknown image or category; names the file and the place.
    """
    content = read_json_object(path, lists=('images', 'categories', 'annotations'))
    check_coco_content(path, content, image_keys=('height', 'width'), annotation_keys=('point',))
    categories = sorted(content['categories'], key=lambda category: category['id'])
    names = {category['id']: category['name'] for category in categories}
    points: dict[int, list[SourcePoint]] = {image['id']: [] for image in content['images']}
    for index, annotation in enumerate(content['annotations']):
        where = f'{path}: annotations[{index}]'
        if annotation.get('iscrowd', 0):
            continue
        x, y = number_pair(annotation['point'], where=where)
        point = SourcePoint(x, y, names[annotation['category_id']], where)
        points[annotation['image_id']].append(point)
    images = [
        SourceImage(
            image['file_name'],
            image['height'],
            image['width'],
            points[image['id']],
            f'{path}: images[{index}]',
        )
        for index, image in enumerate(content['images'])
    ]
    return images, list(names.values())


def number_pair(values: object, *, where: str) -> tuple[float, float]:
    """Two numbers, from numbers or strings; whether they are finite is checked on assembling.

    Raises:
        ValueError: they are not two numbers; begins with ``where``.
    """
    try:
        if isinstance(values, str | dict):  # '12' is not the point (1, 2)
            raise TypeError
        x, y = (float(value) for value in values)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f'{where}: expected two numbers x, y, got {values!r:.60}') from None
    return x, y


def _check_images(images: Sequence[SourceImage]) -> None:
    places: dict[str, str] = {}
    for image in images:
        for side in (image.height, image.width):
            if not isinstance(side, int) or side <= 0:
                raise ValueError(
                    f'{image.where}: expected a size of positive whole numbers for '
                    f'{image.file_name}, got height {image.height!r}, width {image.width!r}'
                )
        if image.file_name in places:
            raise ValueError(
                f'{image.where}: image {image.file_name} has an entry already: '
                f'{places[image.file_name]}'
            )
        places[image.file_name] = image.where


def _why_refused(
    point: SourcePoint, image: SourceImage, category_ids: dict[str, int], *, is_known: bool
) -> str | None:
    if point.label not in category_ids:
        return f'class {point.label!r} is not one of {list(category_ids)}'
    if not (math.isfinite(point.x) and math.isfinite(point.y)):
        return f'expected finite coordinates, got ({point.x}, {point.y})'
    if not (0 <= point.x < image.width and 0 <= point.y < image.height):
        return (
            f'point ({point.x:g}, {point.y:g}) is outside of {image.file_name}, '
            f'{image.width} x {image.height} pixels'
        )
    if is_known:
        return f'a second {point.label!r} at ({point.x:g}, {point.y:g}) in {image.file_name}'
    return None


def _shorten(problems: Sequence[str], title: str) -> list[str]:
    if not problems:
        return []
    more = len(problems) - _SHOWN_PROBLEMS
    lines = [f'{len(problems)} {title}:', *(f'  {line}' for line in problems[:_SHOWN_PROBLEMS])]
    return lines + ([f'  ... and {more} more'] if more > 0 else [])
