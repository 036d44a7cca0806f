"""PseudoLabels: the content of a pseudo label json, to look at, filter, merge and save."""

import copy
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from mmp2seg.codecs import DROP_REASONS
from mmp2seg.files.atomic_write import write_json
from mmp2seg.ops.rle import decode_rle
from mmp2seg.pseudo_labels.coco_json import Entry, assemble, check_content, load, merge_contents

_QUANTILES = {'min': 0.0, '25%': 0.25, 'median': 0.5, '75%': 0.75, 'max': 1.0}


class _Result(Protocol):
    """A result of the inferencer."""

    @property
    def image_id(self) -> int | None: ...

    def to_coco(self, *, image_id: int | None = None) -> Entry: ...


@dataclass(frozen=True)
class ImageLabels:
    """The labels of an image.

    Attributes:
        image: its entry: ``id``, ``file_name``, ``height``, ``width``.
        annotations: entries of its instances.
        dropped_points: entries of its points without an instance.
    """

    image: Entry
    annotations: list[Entry]
    dropped_points: list[Entry]

    @property
    def masks(self) -> npt.NDArray[np.bool_]:
        """``(M, H, W)`` bool, the masks of the annotations; decoded at each access."""
        masks = [decode_rle(ann['segmentation']) for ann in self.annotations]
        return np.array(masks, bool).reshape(-1, self.image['height'], self.image['width'])


class PseudoLabels:
    """The pseudo labels of a data set: masks with scores, each of one point.

    :mod:`mmp2seg.pseudo_labels.coco_json` describes the layout of the file. Methods return new
    objects; none changes its own. ``len(labels)`` is the number of images, and iterating yields
    :class:`ImageLabels` in their order.

    Args:
        content: content of a pseudo label json; a copy is checked and kept.
        name: name for messages, such as the path.

    Raises:
        ValueError: a part or a key is missing, or entries contradict each other.
    """

    def __init__(self, content: Entry, *, name: str = 'pseudo labels') -> None:
        try:
            content = copy.deepcopy(check_content(content, where=name))
        except RecursionError as error:
            raise ValueError(f'{name}: lists and objects are nested too deeply') from error
        self._name = name
        self._content = assemble(
            content['images'],
            content['categories'],
            content['annotations'],
            content['dropped_points'],
            content['info'],
        )

    @classmethod
    def load(cls, path: str | Path) -> 'PseudoLabels':
        """Read a pseudo label json.

        Raises:
            FileNotFoundError, ValueError: see :func:`mmp2seg.pseudo_labels.coco_json.load`.
        """
        return cls(load(path), name=str(path))

    @classmethod
    def from_results(cls, results: Iterable[_Result]) -> 'PseudoLabels':
        """Join results of a :class:`mmp2seg.P2SegInferencer`, one per image.

        The results can be a generator. The image ids are those of the points file if all results
        have one, otherwise 1, 2, ...

        Raises:
            ValueError: there are no results, they have different classes, or two have the same
                image id or file name.
        """
        contents, ids = [], []
        for number, result in enumerate(results, start=1):
            ids.append(result.image_id)
            contents.append(result.to_coco(image_id=number))
        if not contents:
            raise ValueError('expected at least one result, got none')
        categories = max((content['categories'] for content in contents), key=len)
        has_ids = None not in ids
        for image_id, content in zip(ids, contents, strict=True):
            if content['categories'] != categories[: len(content['categories'])]:
                names, others = _names(categories), _names(content['categories'])
                raise ValueError(f'expected results of the same classes, got {names} and {others}')
            content['categories'] = categories  # a point segmenter learns its classes on the way
            if has_ids:
                _set_image_id(content, image_id)
        names = [f'result {number}' for number in range(1, len(contents) + 1)]
        content = merge_contents(list(zip(names, contents, strict=True)))
        if len(content['images']) < len(contents):
            raise ValueError('expected results of different images, got an image id twice')
        content['info'].pop('merged_from')
        return cls(content)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the categories, in their order."""
        return tuple(_names(self._content['categories']))

    @property
    def num_instances(self) -> int:
        """Number of masks."""
        return len(self._content['annotations'])

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._content['images'])

    def __iter__(self) -> Iterator[ImageLabels]:
        """Yield the labels of each image."""
        annotations: dict[int, list[Entry]] = {image['id']: [] for image in self._content['images']}
        dropped: dict[int, list[Entry]] = {image_id: [] for image_id in annotations}
        for entry in self._content['annotations']:
            annotations[entry['image_id']].append(entry)
        for entry in self._content['dropped_points']:
            dropped[entry['image_id']].append(entry)
        for image in self._content['images']:
            yield ImageLabels(image, annotations[image['id']], dropped[image['id']])

    def __repr__(self) -> str:
        return (
            f'PseudoLabels({self._name}: {self.num_instances} masks in {len(self)} images, '
            f'{len(self._content["dropped_points"])} points without)'
        )

    def filter(
        self,
        *,
        min_score: float | None = None,
        min_area: float | None = None,
        classes: Sequence[str] | None = None,
    ) -> 'PseudoLabels':
        """Keep the masks that fulfil all conditions.

        The other masks leave the labels together with their points: ``dropped_points`` says what a
        method found no mask for, not what was filtered. Images and categories stay, so that the
        files remain comparable. ``info['filtered']`` lists the conditions and the number of masks
        that left.

        Args:
            min_score: lowest score to keep.
            min_area: smallest area to keep, in pixels.
            classes: names of the classes to keep; dropped points of others leave too. None: all.

        Raises:
            ValueError: a class is not one of the file.
        """
        conditions: Entry = {
            key: value
            for key, value in (('min_score', min_score), ('min_area', min_area))
            if value is not None
        }
        kept_ids = {category['id'] for category in self._content['categories']}
        if classes is not None:
            if isinstance(classes, str) or not set(classes) <= set(self.classes):
                raise ValueError(
                    f'expected a list of classes of {list(self.classes)}, got {classes!r:.60}'
                )
            conditions['classes'] = list(classes)
            kept_ids = {c['id'] for c in self._content['categories'] if c['name'] in classes}
        annotations = [
            ann
            for ann in self._content['annotations']
            if (min_score is None or ann['score'] >= min_score)
            and (min_area is None or ann['area'] >= min_area)
            and ann['category_id'] in kept_ids
        ]
        dropped = [p for p in self._content['dropped_points'] if p['category_id'] in kept_ids]
        conditions['num_removed'] = self.num_instances - len(annotations)
        earlier = self._content['info'].get('filtered', [])
        info = {**self._content['info'], 'filtered': [*earlier, conditions]}
        content = {
            **self._content,
            'annotations': annotations,
            'dropped_points': dropped,
            'info': info,
        }
        return PseudoLabels(content, name=self._name)

    def merge(self, *others: 'PseudoLabels') -> 'PseudoLabels':
        """Join the labels of parts of a data set.

        Raises:
            ValueError: categories differ, an image has two meanings, or a point has two entries;
                see :func:`mmp2seg.pseudo_labels.coco_json.merge`.
        """
        parts = [(labels._name, labels._content) for labels in (self, *others)]
        return PseudoLabels(merge_contents(parts))

    def statistics(self) -> dict[str, Any]:
        """Count and summarise.

        Returns:
            dict: of plain json types. ``num_images``, ``num_empty_images`` (without a mask),
            ``num_instances``, ``num_dropped``; ``dropped``: number by reason; ``score`` and
            ``area``: quantiles ``min``, ``25%``, ``median``, ``75%``, ``max``, None without masks;
            ``classes``: by name ``num_instances``, ``num_dropped``, ``score`` and ``area``.
        """
        annotations, dropped = self._content['annotations'], self._content['dropped_points']
        reasons = Counter(entry['reason'] for entry in dropped)
        return {
            'num_images': len(self),
            'num_empty_images': len(self) - len({ann['image_id'] for ann in annotations}),
            **_summary(annotations, dropped),
            'dropped': {reason: reasons[reason] for reason in DROP_REASONS},
            'classes': {
                category['name']: _summary(
                    *(
                        [entry for entry in part if entry['category_id'] == category['id']]
                        for part in (annotations, dropped)
                    )
                )
                for category in self._content['categories']
            },
        }

    def to_coco(self) -> Entry:
        """Return a copy of the content of the json."""
        return copy.deepcopy(self._content)

    def save(self, path: str | Path) -> None:
        """Write the json, atomically.

        Raises:
            OSError: the file cannot be written.
        """
        write_json(path, self._content)


def _names(categories: Iterable[Entry]) -> list[str]:
    return [category['name'] for category in categories]


def _set_image_id(content: Entry, image_id: int | None) -> None:
    """Change the id of the only image of a json, in place."""
    for entry in [*content['annotations'], *content['dropped_points']]:
        entry['image_id'] = image_id
    content['images'][0]['id'] = image_id


def _summary(annotations: Sequence[Entry], dropped: Sequence[Entry]) -> dict[str, Any]:
    return {
        'num_instances': len(annotations),
        'num_dropped': len(dropped),
        'score': _quantiles([ann['score'] for ann in annotations]),
        'area': _quantiles([ann['area'] for ann in annotations]),
    }


def _quantiles(values: Sequence[float]) -> dict[str, float] | None:
    if not values:
        return None
    found = np.quantile(np.array(values, np.float64), list(_QUANTILES.values())).tolist()
    return dict(zip(_QUANTILES, found, strict=True))
