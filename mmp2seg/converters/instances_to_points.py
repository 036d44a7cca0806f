"""Convert a COCO instance json to a point json: draw one or several points from each object."""

import dataclasses
import os
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from pathlib import Path

from mmp2seg.converters.kept_truth import KeptTruth, given_entries, images_with_all_masks
from mmp2seg.converters.point_json import PointReport, describe_problems, no_point_message
from mmp2seg.converters.point_rules import PointRule
from mmp2seg.converters.segmentation_crops import crop_of_segmentation
from mmp2seg.datasets.coco_content import check_coco_content, split_categories
from mmp2seg.datasets.point_supervision import read_given_mask
from mmp2seg.files.atomic_write import write_json
from mmp2seg.files.json_reading import is_integer, read_json_object, require_keys

_CHUNK = 1000


@dataclasses.dataclass(frozen=True)
class InstancePointReport(PointReport):
    """Counts of a conversion; ``num_points`` counts each object once, even with several points.

    Attributes:
        num_crowds: crowd annotations, which are left out.
        num_coincident: objects whose point equals the point of an earlier object of the same image
            and class; stage 1 makes one mask for both.
        notes: a line for each category that is no class.
        num_kept: number of objects that keep their true ``'mask'`` or ``'box'``.
    """

    num_crowds: int
    num_coincident: int
    notes: tuple[str, ...] = ()
    num_kept: dict[str, int] = dataclasses.field(default_factory=dict)

    def __str__(self) -> str:
        """Return a summary for the terminal."""
        lines = [super().__str__(), f'{self.num_crowds} crowd annotations left out']
        if self.num_kept:
            kept = (f'{count} with a true {kind}' for kind, count in self.num_kept.items())
            lines.append(f'points: {", ".join(kept)}')
        if self.num_coincident:
            lines.append(
                f'{self.num_coincident} points at the position of an earlier point of their class: '
                'stage 1 reports them as duplicates'
            )
        return '\n'.join([*lines, *self.notes])


def convert_instances(
    path: str | Path,
    out_path: str | Path,
    *,
    rule: PointRule,
    kept: KeptTruth | None = None,
    skip_refused: bool = False,
    allow_empty: bool = False,
    track: Callable[[Sequence], Iterable] = iter,
) -> InstancePointReport:
    """Write a point json of the objects of a COCO instance json.

    Images (including those without objects) are copied unchanged, and categories except empty
    parents (:func:`mmp2seg.datasets.coco_content.split_categories`). An annotation of
    the result keeps ``id``, ``image_id`` and ``category_id`` of the instance, so that pseudo labels
    can be matched with the ground truth by id. Its ``point`` is ``[x, y]`` in continuous
    coordinates. With several points per object, ``points`` lists all of them, and ``point`` is the
    first, which stage 1 uses. No mask information is written, but for the objects that ``kept``
    chooses: they have ``supervision`` and ``segmentation`` or ``bbox``, unchanged
    (:mod:`mmp2seg.datasets.point_supervision`). An image whose objects all have masks has
    ``supervision`` too, unless it has a crowd.

    The random stream of an object is derived from the seed and the object's id. Its points
    therefore do not depend on other objects, and its first points do not depend on the number of
    points.

    Args:
        path: COCO json; depending on the rule, an annotation needs ``segmentation`` (polygons or
            RLE), ``bbox``, or both. Crowd annotations are left out and counted.
        out_path: json to write; it is written atomically.
        rule: how to draw a point from an object.
        kept: which objects keep their true mask or box; None: none.
        skip_refused: leave out objects from which no point can be drawn, and report them, instead
            of raising an error.
        allow_empty: write the result without a single point.
        track: function that wraps the list of chunks of annotations, e.g. to show a progress bar.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not a COCO json; ``out_path`` is ``path``; or, without
            ``skip_refused``, an object lacks the box, mask, pixels or point that the rule needs, or
            the mask or box that it keeps, its point is outside the image or the kept box, its id is
            not an integer >= 0 or not unique, or its image or category is unknown. The message
            names the file and the annotations.
    """
    if os.path.realpath(path) == os.path.realpath(out_path):
        raise ValueError(f'{out_path}: expected an output file that is not the input file')
    content = _read_instances(path)
    content['categories'], notes = split_categories(content)
    kinds = {} if kept is None else kept.kinds(content['annotations'])
    objects = _Objects(content, rule, kinds)
    annotations: list[dict] = []
    refused: list[str] = []
    for chunk in track(_chunks(content['annotations'])):
        for annotation in chunk:
            if annotation.get('iscrowd', 0):
                continue
            try:
                annotations.append(objects.point_of(annotation))
            except ValueError as error:
                refused.append(f'{path}: annotation {annotation["id"]}: {error}')
    if refused and not skip_refused:
        title = f'{len(refused)} annotations without a point (--skip-refused leaves them out)'
        raise ValueError(describe_problems(refused, title))
    if not annotations and not allow_empty:
        raise ValueError(no_point_message(str(path), len(content['images']), refused))
    texts = [rule.describe(), '' if kept is None else kept.describe()]
    description = f'points: {"; ".join(filter(None, texts))}'
    out_info = dict(description=description, source=Path(path).name)
    complete = images_with_all_masks(content['annotations'], kinds) if kinds else set()
    images = [
        {**image, 'supervision': 'mask'} if image['id'] in complete else image
        for image in content['images']
    ]
    out = dict(info=out_info, images=images, categories=content['categories'])
    write_json(out_path, {**out, 'annotations': annotations})
    return _report(content, annotations, refused, notes)


class _Objects:
    """Draw the points of a file's annotations one by one, and check that their ids are unique."""

    def __init__(self, content: dict, rule: PointRule, kinds: Mapping[Hashable, str]) -> None:
        self.rule = rule
        self.kinds = kinds
        self.images = {image['id']: image for image in content['images']}
        self.sizes = {image['id']: (image['height'], image['width']) for image in content['images']}
        self.categories = {category['id'] for category in content['categories']}
        self.known_ids: set[int] = set()

    def point_of(self, annotation: dict) -> dict:
        """Return the entry of the point json.

        Raises:
            ValueError: see :func:`convert_instances`; the message contains only the reason.
        """
        number = self._check_ids(annotation)
        height, width = self.sizes[annotation['image_id']]
        crop = None
        if self.rule.needs_mask:
            if not annotation.get('segmentation'):
                raise ValueError('it has no segmentation')
            crop = crop_of_segmentation(annotation['segmentation'], height, width)
        points = self.rule.draw(
            number,
            height=height,
            width=width,
            box=annotation.get('bbox'),
            crop=crop,
            point=annotation.get('point'),
        )
        entry = dict(
            id=number,
            image_id=annotation['image_id'],
            category_id=annotation['category_id'],
            point=points[0],
        )
        if number in self.kinds:
            entry.update(given_entries(annotation, self.kinds[number]))
            read_given_mask(entry, image=self.images[entry['image_id']], where='it keeps')
        return entry if len(points) == 1 else {**entry, 'points': points}

    def _check_ids(self, annotation: dict) -> int:
        number = annotation['id']
        if not is_integer(number) or number < 0:
            raise ValueError(f'expected an integer >= 0 as id, got {number!r:.60}')
        if number in self.known_ids:
            raise ValueError('an earlier annotation has this id')
        self.known_ids.add(number)
        for key, known in (('image_id', self.sizes), ('category_id', self.categories)):
            value = annotation[key]
            if not (isinstance(value, str) or is_integer(value)) or value not in known:
                raise ValueError(f'unknown {key} {value!r:.60}')
        return number


def _read_instances(path: str | Path) -> dict:
    content = read_json_object(path, lists=('images', 'categories', 'annotations'))
    check_coco_content(path, {**content, 'annotations': []}, image_keys=('height', 'width'))
    require_keys(path, 'annotations', content['annotations'], ('id', 'image_id', 'category_id'))
    return content


def _chunks(annotations: list[dict]) -> list[list[dict]]:
    """Split the annotations into chunks, so that a progress bar does not update for every one."""
    starts = range(0, len(annotations), _CHUNK)
    return [annotations[start : start + _CHUNK] for start in starts]


def _report(
    content: dict,
    annotations: Sequence[dict],
    refused: Sequence[str],
    notes: Sequence[str],
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
        notes=tuple(notes),
        num_kept=dict(Counter(a['supervision'] for a in annotations if 'supervision' in a)),
    )
