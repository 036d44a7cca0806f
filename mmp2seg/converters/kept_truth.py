"""Choose the objects of an instance json whose true masks or boxes stay beside their points."""

import dataclasses
import hashlib
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

from mmp2seg.datasets.point_supervision import GIVEN_KEYS

UNITS = ('object', 'image')


@dataclasses.dataclass(frozen=True)
class KeptTruth:
    """How many objects keep their mask or box.

    The choice is by the hash of seed and id. So a larger share contains the objects of a smaller
    one, and the objects with masks are the same with and without boxes.

    Attributes:
        masks: share of the objects, or images, that keep true masks, 0..1; rounded, but at least
            one if it is above 0.
        boxes: share of the others that keep boxes, likewise.
        unit: ``'object'`` or ``'image'``: with it, an image keeps those of all of its objects.
        seed: of the choice.

    Raises:
        ValueError: a share is outside [0, 1], or the unit is unknown.
    """

    masks: float = 0.0
    boxes: float = 0.0
    unit: str = 'object'
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the attributes."""
        for name in ('masks', 'boxes'):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f'expected a share of {name} in [0, 1], got {getattr(self, name)}')
        if self.unit not in UNITS:
            raise ValueError(f'expected unit to be one of {UNITS}, got {self.unit!r}')

    def kinds(self, annotations: Iterable[Mapping[str, Any]]) -> dict[Hashable, str]:
        """Return the kind of each object that keeps more than its point, by its id.

        Args:
            annotations: of a COCO json, with ``id`` and ``image_id``; crowds keep nothing, and
                neither do those whose ids are no ids.
        """
        units: dict[Hashable, list[Hashable]] = defaultdict(list)
        for annotation in annotations:
            ids = annotation['id'], annotation['image_id']
            if annotation.get('iscrowd', 0) or not all(isinstance(i, int | str) for i in ids):
                continue
            units[ids[self.unit == 'image']].append(annotation['id'])
        order = sorted(units, key=self._rank)
        num_masks = _count(self.masks, len(order))
        num_boxes = _count(self.boxes, len(order) - num_masks)
        kinds = ['mask'] * num_masks + ['box'] * num_boxes
        return {number: kind for key, kind in zip(order, kinds) for number in units[key]}

    def describe(self) -> str:
        """Return a text for the json's ``info``; '' if nothing is kept."""
        parts = [
            f'{getattr(self, name):g} of {self.unit}s with {name}'
            for name in ('masks', 'boxes')
            if getattr(self, name)
        ]
        return f'{", ".join(parts)} (seed {self.seed})' if parts else ''

    def _rank(self, key: Hashable) -> bytes:
        return hashlib.sha256(f'{self.seed} {self.unit} {key}'.encode()).digest()


def given_entries(annotation: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Return what an annotation of a point json has of its true mask or box.

    Raises:
        ValueError: the annotation has none; the message contains only the reason.
    """
    (key,) = GIVEN_KEYS[kind]
    if not annotation.get(key):
        raise ValueError(f'it has no {key} to keep')
    return {'supervision': kind, key: annotation[key]}


def images_with_all_masks(
    annotations: Sequence[Mapping[str, Any]], kinds: Mapping[Hashable, str]
) -> set[Hashable]:
    """Return the ids of the images whose objects all keep masks, and that have no crowd.

    Args:
        annotations: all of the COCO json.
        kinds: see :meth:`KeptTruth.kinds`.
    """
    image_ids = {annotation['image_id'] for annotation in annotations}
    others = {
        annotation['image_id']
        for annotation in annotations
        if kinds.get(annotation['id']) != 'mask'  # a crowd has no kind
    }
    return image_ids - others


def _count(share: float, total: int) -> int:
    return min(total, max(round(share * total), int(share > 0)))
