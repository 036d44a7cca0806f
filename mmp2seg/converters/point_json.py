"""The point json, the common format of all point converters, and its in-memory form.

Layout of the file: COCO's ``images``, ``categories`` (ids 1..K) and ``annotations``, which have
``id``, ``image_id``, ``category_id`` and ``point`` ``[x, y]`` in continuous coordinates.
"""

import dataclasses
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePath

from mmp2seg.datasets.coco_content import (
    annotation_place,
    check_coco_content,
    ordered_class_names,
)
from mmp2seg.datasets.point_reading import check_point_source, read_annotation_point
from mmp2seg.datasets.voc_layout import numeric_image_ids
from mmp2seg.files.json_reading import read_json_object

_SHOWN_PROBLEMS = 10


@dataclasses.dataclass(frozen=True, slots=True)
class SourcePoint:
    """A point as read from a source, not yet checked.

    Attributes:
        x: continuous coordinate in the image's frame, in pixels; a pixel's centre is at .5.
        y: coordinate like ``x``.
        label: name of the point's class.
        where: file and place, for error messages ('a.json: shapes[3]', 'points.csv:12').
    """

    x: float
    y: float
    label: str
    where: str


@dataclasses.dataclass(frozen=True, slots=True)
class SourceImage:
    """An image with its points, in the order of the source.

    Attributes:
        file_name: path relative to the image folder.
        height: height in pixels.
        width: width in pixels.
        points: points of the image. An image without points trains the background.
        where: file and place, for error messages.
        left_out: shapes that the reader skipped, one line each, with place and reason.
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
        num_images: number of images in the file.
        num_empty: number of these images that have no point.
        num_points: number of points by class name, including classes without a point.
        refused: points and shapes that the reader or the checks left out, one line each, with place
            and reason.
    """

    num_images: int
    num_empty: int
    num_points: dict[str, int]
    refused: tuple[str, ...]

    def __str__(self) -> str:
        """Return a summary for the terminal."""
        total = sum(self.num_points.values())
        lines = [f'{self.num_images} images ({self.num_empty} without points), {total} points']
        lines += [f'  {name}: {count}' for name, count in self.num_points.items()]
        if self.refused:
            lines.append(describe_problems(self.refused, f'{len(self.refused)} points left out'))
        return '\n'.join(lines)


def assemble_point_json(
    images: Iterable[SourceImage],
    *,
    classes: Sequence[str] | None = None,
    description: str = 'points',
    skip_refused: bool = False,
) -> tuple[dict, PointReport]:
    """Check the points of a source and build the point json.

    A point is refused if its class is not in ``classes``, if it is not finite or not inside its
    image, or if an earlier point of the image has the same position and class.

    Args:
        images: all images of the source; they are iterated once.
        classes: names of the K classes, in order; None = the sorted classes of the points.
        description: text for the json's ``info``.
        skip_refused: leave refused points out and report them, instead of raising an error.

    Returns:
        tuple: content of the json, and the counts. Image ids are the digits of the names if the
        resulting numbers are unique ('2007_000032' -> 2007000032), otherwise 1, 2, ...; point ids
        are 1, 2, ...

    Raises:
        ValueError: an image is listed twice or has no size, a class name is repeated, or, without
            ``skip_refused``, points are refused; the message names the places.
    """
    images = list(images)
    _check_images(images)
    if classes is None:
        classes = sorted({point.label for image in images for point in image.points})
    if len(set(classes)) < len(classes):
        raise ValueError(f'expected unique class names, got {list(classes)}')
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
        title = f'{len(refused)} points cannot be used (--skip-refused leaves them out)'
        raise ValueError(describe_problems(refused, title))
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
            no point or an unknown image or category; the message names the file and the place.
    """
    check_point_source(point_source)
    content = read_json_object(
        path, lists=('images', 'categories', 'annotations'), drop=('segmentation',)
    )
    check_coco_content(path, content, image_keys=('height', 'width'))
    names = {category['id']: category['name'] for category in content['categories']}
    points: dict[int, list[SourcePoint]] = {image['id']: [] for image in content['images']}
    for index, annotation in enumerate(content['annotations']):
        if annotation.get('iscrowd', 0):
            continue
        where = annotation_place(path, index, annotation)
        x, y = read_annotation_point(annotation, point_source=point_source, where=where)
        point = SourcePoint(x, y, names[annotation['category_id']], where)
        points[annotation['image_id']].append(point)
    images = coco_source_images(path, content['images'], points)
    return images, ordered_class_names(content['categories'])


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


def describe_problems(problems: Sequence[str], title: str) -> str:
    """Return a title followed by the first ten problems, one line each."""
    more = len(problems) - _SHOWN_PROBLEMS
    lines = [f'{title}:', *(f'  {line}' for line in problems[:_SHOWN_PROBLEMS])]
    return '\n'.join(lines + ([f'  ... and {more} more'] if more > 0 else []))


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
