"""A COCO instance json made into a point json: a point, or several, drawn from each object."""

import dataclasses
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from mmp2seg.converters.point_json import PointReport
from mmp2seg.converters.point_rules import PointRule
from mmp2seg.converters.segmentation_crops import crop_of_segmentation
from mmp2seg.files.atomic_write import write_json
from mmp2seg.files.json_reading import read_json_object, require_keys

_CHUNK = 1000
_SHOWN_PROBLEMS = 10


@dataclasses.dataclass(frozen=True)
class InstancePointReport(PointReport):
    """Counts of a conversion; ``num_points`` counts objects, whatever number of points each has.

    Attributes:
        num_crowds: crowd annotations, which are left out.
        num_coincident: objects whose point is that of an earlier object of their image and class;
            stage 1 makes one mask of the two.
    """

    num_crowds: int
    num_coincident: int

    def __str__(self) -> str:
        """One page for a terminal."""
        lines = [super().__str__(), f'{self.num_crowds} crowd annotations left out']
        if self.num_coincident:
            lines.append(
                f'{self.num_coincident} points at the place of an earlier one of their class: '
                'stage 1 reports them as duplicates'
            )
        return '\n'.join(lines)


def convert_instances(
    path: str | Path,
    out_path: str | Path,
    *,
    rule: PointRule,
    skip_refused: bool = False,
    track: Callable[[Sequence], Iterable] = iter,
) -> InstancePointReport:
    """Write a point json of the objects of a COCO instance json.

    Images (also those without objects) and categories are taken over as they are. An annotation of
    the result has ``id``, ``image_id`` and ``category_id`` of the instance, so that pseudo labels
    can be matched with the truth by id, and ``point`` ``[x, y]`` in continuous coordinates. With
    several points an object, ``points`` holds all of them and ``point`` is the first, the one that
    stage 1 uses. Nothing of the masks is written.

    Each object has a random stream of its own, from the seed and its id: its points do not depend
    on which other objects there are, and the first ones not on how many there are.

    Args:
        path: COCO json; an annotation needs ``segmentation`` (polygons or RLE), ``bbox``, or both,
            as the rule says. Crowd annotations are left out and counted.
        out_path: json to write, whole or not at all.
        rule: how a point comes out of an object.
        skip_refused: leave objects out that no point can be drawn of, and report them, instead of
            stopping.
        track: wraps a list of portions of the annotations; a place for a progress bar.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no COCO json; ``out_path`` is ``path``; or, unless
            ``skip_refused``, objects without box, mask or pixels as the rule needs them, with the
            centre of the box outside of the image, or with an id, image or category that is
            unknown or used twice. Names the file and the annotations.
    """
    if os.path.realpath(path) == os.path.realpath(out_path):
        raise ValueError(f'{out_path}: expected another file than the instances are read from')
    content = _read_instances(path)
    objects = _Objects(content, rule)
    annotations: list[dict] = []
    refused: list[str] = []
    for portion in track(_portions(content['annotations'])):
        for annotation in portion:
            if annotation.get('iscrowd', 0):
                continue
            try:
                annotations.append(objects.point_of(annotation))
            except ValueError as error:
                refused.append(f'{path}: annotation {annotation["id"]}: {error}')
    if refused and not skip_refused:
        raise ValueError(_describe_refused(refused))
    out_info = dict(description=f'points: {rule.describe()}', source=Path(path).name)
    out = dict(info=out_info, images=content['images'], categories=content['categories'])
    write_json(out_path, {**out, 'annotations': annotations})
    return _report(content, annotations, refused)


class _Objects:
    """Annotations of a file one by one, with what has been seen of the earlier ones."""

    def __init__(self, content: dict, rule: PointRule) -> None:
        self.rule = rule
        self.sizes = {image['id']: (image['height'], image['width']) for image in content['images']}
        self.categories = {category['id'] for category in content['categories']}
        self.known_ids: set[int] = set()

    def point_of(self, annotation: dict) -> dict:
        """Entry of the point json.

        Raises:
            ValueError: see :func:`convert_instances`; says the reason only.
        """
        number = self._check_ids(annotation)
        height, width = self.sizes[annotation['image_id']]
        crop = None
        if self.rule.needs_mask:
            if not annotation.get('segmentation'):
                raise ValueError('it has no segmentation')
            crop = crop_of_segmentation(annotation['segmentation'], height, width)
        points = self.rule.draw(
            number, height=height, width=width, box=annotation.get('bbox'), crop=crop
        )
        entry = dict(
            id=number,
            image_id=annotation['image_id'],
            category_id=annotation['category_id'],
            point=points[0],
        )
        return entry if len(points) == 1 else {**entry, 'points': points}

    def _check_ids(self, annotation: dict) -> int:
        number = annotation['id']
        if not isinstance(number, int) or number < 0:
            raise ValueError(f'expected a whole number >= 0 as id, got {number!r}')
        if number in self.known_ids:
            raise ValueError('an earlier annotation has this id')
        self.known_ids.add(number)
        for key, known in (('image_id', self.sizes), ('category_id', self.categories)):
            value = annotation[key]
            if not isinstance(value, int | str) or value not in known:
                raise ValueError(f'unknown {key} {value!r:.60}')
        return number


def _read_instances(path: str | Path) -> dict:
    content = read_json_object(path, lists=('images', 'categories', 'annotations'))
    require_keys(path, 'images', content['images'], ('id', 'file_name', 'height', 'width'))
    require_keys(path, 'categories', content['categories'], ('id', 'name'))
    require_keys(path, 'annotations', content['annotations'], ('id', 'image_id', 'category_id'))
    for part in ('images', 'categories'):
        for number, count in Counter(entry['id'] for entry in content[part]).items():
            if count > 1:
                raise ValueError(f'{path}: {part}: expected ids that differ, got {number} twice')
    for index, image in enumerate(content['images']):
        for key in ('height', 'width'):
            if not isinstance(image[key], int) or image[key] <= 0:
                raise ValueError(
                    f'{path}: images[{index}]: expected a whole number > 0 as {key}, '
                    f'got {image[key]!r}'
                )
    return content


def _portions(annotations: list[dict]) -> list[list[dict]]:
    """A progress bar writes after each element: too often for every annotation."""
    starts = range(0, len(annotations), _CHUNK)
    return [annotations[start : start + _CHUNK] for start in starts]


def _describe_refused(refused: Sequence[str]) -> str:
    more = len(refused) - _SHOWN_PROBLEMS
    lines = [f'no point can be drawn of {len(refused)} annotations:']
    lines += [f'  {line}' for line in refused[:_SHOWN_PROBLEMS]]
    return '\n'.join(lines + ([f'  ... and {more} more'] if more > 0 else []))


def _report(
    content: dict, annotations: Sequence[dict], refused: Sequence[str]
) -> InstancePointReport:
    counts = Counter(annotation['category_id'] for annotation in annotations)
    places = {(a['image_id'], a['category_id'], *a['point']) for a in annotations}
    images = content['images']
    return InstancePointReport(
        num_images=len(images),
        num_empty=len(images) - len({annotation['image_id'] for annotation in annotations}),
        num_points={entry['name']: counts[entry['id']] for entry in content['categories']},
        refused=tuple(refused),
        num_crowds=sum(bool(entry.get('iscrowd', 0)) for entry in content['annotations']),
        num_coincident=len(annotations) - len(places),
    )
