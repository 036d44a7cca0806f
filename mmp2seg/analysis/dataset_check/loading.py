"""Load the entries of a point dataset without stopping at the first broken one."""

import dataclasses
from collections import defaultdict
from collections.abc import Iterator

from mmengine.config import ConfigDict
from mmengine.fileio import get

from mmp2seg.datasets.coco_content import BACKGROUND, annotation_place, check_coco_content
from mmp2seg.datasets.point_coco import PointCocoDataset
from mmp2seg.datasets.point_dataset import PointDataset
from mmp2seg.datasets.point_reading import read_annotation_point
from mmp2seg.datasets.point_supervision import all_objects_have_masks, read_given_mask
from mmp2seg.datasets.point_voc import PointVOCDataset
from mmp2seg.files.json_reading import parse_json
from mmp2seg.files.text_reading import decode_text
from mmp2seg.registry import DATASETS


@dataclasses.dataclass(frozen=True)
class LoadedEntries:
    """The entries of a dataset.

    Attributes:
        entries: see ``PointDataset.image_entry``, without the points that cannot be read.
        classes: names of the K classes.
        ann_file: the file that lists the images.
        problems: kind (``'missing'``, ``'points'`` or ``'images'``) and line of what was left out;
            the line names file and place.
        sizes: (H, W) by image id, from the annotation file; may lack images.
    """

    entries: list[dict]
    classes: tuple[str, ...]
    ann_file: str
    problems: list[tuple[str, str]]
    sizes: dict[int, tuple[int, int]]


def load_entries(dataset: ConfigDict) -> LoadedEntries:
    """Load the entries of the dataset of a config, which is built with an empty pipeline.

    Datasets that are neither VOC nor COCO stop at the first broken entry.

    Raises:
        ValueError: it is not a point dataset, or the config or the list of images is broken.
        OSError: the list of images cannot be read.
    """
    arguments = {**dataset, 'pipeline': [], 'test_mode': True, 'serialize_data': False}
    name = arguments.pop('type')
    cls = name if isinstance(name, type) else DATASETS.get(name)
    if cls is None or not issubclass(cls, PointDataset):
        raise ValueError(f'expected a point dataset (mmp2seg.PointVOCDataset, ...), got {name}')
    mixins = [mixin for base, mixin in _TOLERANT.items() if issubclass(cls, base)]
    state = dict(problems=[], sizes={})
    tolerant = type(cls.__name__, (*mixins, cls), state)
    try:
        loaded = tolerant(**arguments)
    except TypeError as error:  # an unknown argument
        raise ValueError(f'{name}: {error}') from error
    return LoadedEntries(
        entries=[loaded.get_data_info(index) for index in range(len(loaded))],
        classes=tuple(loaded.metainfo['classes']),
        ann_file=str(loaded.ann_file),
        problems=list(dict.fromkeys(state['problems'])),
        sizes=state['sizes'],
    )


class _TolerantVOC:
    """Leaves out lines and point files that cannot be read."""

    def _read_points(self, path: str) -> list[dict]:
        try:
            points = super()._read_points(path)
        except FileNotFoundError as error:
            self.problems.append(('missing', str(error)))
            return []
        except OSError as error:
            self.problems.append(('points', f'{path}: {error}'))
            return []
        except ValueError as error:  # not UTF-8
            self.problems.append(('points', str(error)))
            return []
        return [point for point in points if point is not None]

    def _parse_line(self, line: str, *, point_id: int, where: str) -> dict | None:
        try:
            return super()._parse_line(line, point_id=point_id, where=where)
        except ValueError as error:
            self.problems.append(('points', str(error)))
            return None


class _TolerantCoco:
    """Leaves out images and annotations that cannot be read."""

    def _read_json(self) -> dict:
        content = self._read_lists()
        categories = content['categories']
        check_coco_content(self.ann_file, {**content, 'images': [], 'annotations': []})
        images = list(self._sound_images(content['images'], categories))
        known = dict(
            image_id={image['id']: image for image in images},
            category_id={category['id'] for category in categories},
        )
        wanted = self._metainfo.get('classes', [category['name'] for category in categories])
        wanted = {category['id'] for category in categories if category['name'] in wanted}
        seen: set = set()
        annotations = []
        for index, annotation in enumerate(content['annotations']):
            reason = self._why_broken(index, annotation, known, wanted, seen)
            if reason is None:
                annotations.append(annotation)
            else:
                self.problems.append(('points', reason))
        images = self._with_sound_flags(images, annotations)
        return {**content, 'images': images, 'annotations': annotations}

    def _with_sound_flags(self, images: list[dict], annotations: list[dict]) -> list[dict]:
        """Take ``supervision`` away from images whose annotations contradict it."""
        kinds = defaultdict(list)
        for annotation in annotations:
            if not annotation.get('iscrowd', 0):
                kinds[annotation['image_id']].append(annotation.get('supervision', 'point'))
        sound = []
        for image in images:
            where = f'{self.ann_file}: image {image["id"]}'
            try:
                all_objects_have_masks(image, kinds[image['id']], where=where)
            except ValueError as error:
                self.problems.append(('images', str(error)))
                image = {key: value for key, value in image.items() if key != 'supervision'}
            sound.append(image)
        return sound

    def _read_lists(self) -> dict:
        text = decode_text(get(self.ann_file, self.backend_args), where=self.ann_file)
        content = parse_json(text, self.ann_file)
        for key in ('images', 'annotations', 'categories'):
            if not isinstance(content, dict) or not isinstance(content.get(key), list):
                raise ValueError(f'{self.ann_file}: expected a COCO json with a list {key!r}')
        return content

    def _sound_images(self, images: list, categories: list) -> Iterator[dict]:
        seen: set = set()
        # of the categories, the check of an image looks at this one alone
        background = [category for category in categories if category['name'] == BACKGROUND]
        for index, image in enumerate(images):
            try:
                check_coco_content(
                    self.ann_file, dict(images=[image], annotations=[], categories=background)
                )
                if image['id'] in seen:
                    raise ValueError(f'an earlier image has the id {image["id"]!r}')
            except ValueError as error:
                reason = str(error).removeprefix(f'{self.ann_file}: images[0]').lstrip(': ')
                line = f'{self.ann_file}: images[{index}]: {reason}'
                self.problems.append(('images', line))
                continue
            seen.add(image['id'])
            size = (image.get('height'), image.get('width'))
            if all(isinstance(side, int) for side in size):
                self.sizes[image['id']] = size
            yield image

    def _why_broken(
        self, index: int, annotation: object, known: dict, wanted: set, seen: set
    ) -> str | None:
        """Return file, place and reason, None for a valid annotation; add its id to ``seen``."""
        where = f'{self.ann_file}: annotations[{index}]'
        if not isinstance(annotation, dict):
            return f'{where}: expected an object, got {annotation!r:.60}'
        where = annotation_place(self.ann_file, index, annotation)
        for key, values in known.items():
            value = annotation.get(key)
            if not isinstance(value, int | str) or value not in values:
                return f'{where}: unknown {key} {value!r:.60}'
        number = annotation.get('id')
        if not isinstance(number, int) or number in seen:
            return f'{where}: expected a unique whole number as id, got {number!r:.60}'
        if annotation['category_id'] in wanted and not annotation.get('iscrowd', 0):
            try:
                point = read_annotation_point(
                    annotation, point_source=self.point_source, where=where
                )
                image = known['image_id'][annotation['image_id']]
                read_given_mask({**annotation, 'point': point}, image=image, where=where)
            except ValueError as error:
                return str(error)
        seen.add(number)
        return None


_TOLERANT = {PointVOCDataset: _TolerantVOC, PointCocoDataset: _TolerantCoco}
