"""Choose among the candidate masks of points by the masks of a network, and take their borders.

A promptable network such as SAM has several masks for a click: a part, the object, a group. It
cannot know which one is meant. A network that was trained on all points of a data set knows the
extent of the objects, but less of their borders.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pycocotools import mask as mask_utils

from mmp2seg.ops.candidates import best_candidate, clicks_held, paint_smaller_on_top
from mmp2seg.ops.coords import points_inside, points_to_pixels
from mmp2seg.ops.rle import Rle, decode_rle, encode_instance_map
from mmp2seg.pseudo_labels.coco_json import Entry, assemble, check_same, mask_entries
from mmp2seg.registry import TASK_UTILS

# What a point did, in the order of the figures.
OUTCOMES = {
    'own': 'kept their mask',
    'candidate 0': 'took the smallest candidate',
    'candidate 1': 'took the middle candidate',
    'candidate 2': 'took the largest candidate',
    'added': 'had no mask, took a candidate',
    'none': 'have no mask',
}


@dataclass(frozen=True)
class Refinement:
    """Refined pseudo labels.

    Attributes:
        labels: content of a pseudo label json. ``candidate`` of an annotation is the place of the
            mask that it took; annotations that kept their mask have none.
        taken: number of points by ``'own'`` (kept their mask), ``'candidate 0'`` (the smallest),
            ``'candidate 1'``, ..., ``'added'`` (had no mask and got one), ``'none'``.
        agreement: mean IoU of the candidates that were taken with the masks they replaced; nan
            without any.
    """

    labels: Entry
    taken: dict[str, int]
    agreement: float

    def describe(self) -> str:
        """Return the figures for the terminal."""
        total = sum(self.taken.values())
        lines = [f'points: {total}']
        for name, number in self.taken.items():
            lines.append(f'  {OUTCOMES.get(name, name)}: {number} ({100 * number / total:.1f} %)')
        if not np.isnan(self.agreement):
            lines.append(f'mean IoU of a mask and the candidate in its place: {self.agreement:.3f}')
        return '\n'.join(lines)


@dataclass(frozen=True)
class _Choice:
    rle: Rle
    name: str  # key of Refinement.taken
    place: int | None = None
    agreement: float = np.nan


@TASK_UTILS.register_module()
class CandidateRefiner:
    """Replace the mask of a point by the candidate that agrees with it.

    Of the candidates whose IoU with the mask is at least ``min_iou``, the one with the largest sum
    of the IoU and its own weighted score takes the place of the mask. A point without such a
    candidate keeps its mask. A pixel of several masks stays with the point that
    had it before, if its new mask holds it; else the smallest mask gets it. A click is in its own
    mask.

    Args:
        min_iou: 0..1. The default only refuses candidates of something else: on simulated
            candidates, higher limits lose (docs/sam.md).
        score_weight: how much the method's own score of a candidate adds to its IoU.
        add_missing: points without a mask take the candidate with the best score among those that
            hold the fewest other clicks.

    Raises:
        ValueError: a number is not in its range.
    """

    def __init__(
        self, *, min_iou: float = 0.1, score_weight: float = 0.5, add_missing: bool = True
    ) -> None:
        if not 0 <= min_iou <= 1 or not 0 <= score_weight < np.inf:
            raise ValueError(
                'expected min_iou in 0..1 and score_weight of at least 0, got '
                f'{min_iou} and {score_weight}'
            )
        self.min_iou = min_iou
        self.score_weight = score_weight
        self.add_missing = add_missing

    def __call__(
        self,
        labels: Entry,
        candidates: Entry,
        *,
        names: tuple[str | Path, str | Path] = ('labels', 'candidates'),
    ) -> Refinement:
        """Refine pseudo labels.

        Args:
            labels: content of a pseudo label json, such as those of a P2Seg network.
            candidates: content of another of the same points, whose annotations have ``candidates``
                (``mmp2seg masks --segmenter sam``). An annotation without them, and a point that is
                not in it, changes nothing.
            names: of both, for the messages.

        Raises:
            ValueError: images or categories of ``labels`` are not in ``candidates``, no annotation
                has candidates, or a point has another place in both; the message names the file.
        """
        check_same(names[0], labels, names[1], candidates)
        known = {
            (ann['image_id'], ann['point_id']): ann
            for ann in candidates['annotations']
            if ann.get('candidates')
        }
        if candidates['annotations'] and not known:
            raise ValueError(
                f'{names[1]}: expected annotations with candidates, as mmp2seg masks --segmenter '
                'sam writes them, got none'
            )
        points: dict[int, list[Entry]] = defaultdict(list)
        for entry in [*labels['annotations'], *labels['dropped_points']]:
            key = entry['image_id'], entry['point_id']
            if key in known and not np.allclose(entry['point'], known[key]['point'], atol=1e-3):
                raise ValueError(
                    f'{names[1]}: image {key[0]}, point {key[1]}: expected the place '
                    f'{entry["point"]} as in {names[0]}, got {known[key]["point"]}'
                )
            points[entry['image_id']].append(entry)
        annotations: list[Entry] = []
        dropped: list[Entry] = []
        counts: Counter[str] = Counter()
        agreements: list[float] = []
        for image in labels['images']:
            choices = self._image(image, points[image['id']], known)
            refined = _without_overlaps(image, points[image['id']], choices)
            for entry, choice, changes in zip(points[image['id']], choices, refined, strict=True):
                counts['none' if changes is None else choice.name] += 1  # type: ignore[union-attr]
                if changes is None:
                    dropped.append({'reason': 'no_pixels', **_point_of(entry)})
                    continue
                assert choice is not None
                annotations.append({**_annotation_of(entry, known), **changes})
                if choice.place is not None:
                    annotations[-1]['candidate'] = choice.place
                    agreements.append(choice.agreement)
        taken = {name: counts[name] for name in sorted(counts, key=_order)}
        info = {
            **labels['info'],
            'refined': {
                'by': Path(names[1]).name,
                'min_iou': self.min_iou,
                'score_weight': self.score_weight,
                'taken': taken,
            },
        }
        content = assemble(labels['images'], labels['categories'], annotations, dropped, info)
        agreements = [value for value in agreements if not np.isnan(value)]
        return Refinement(content, taken, float(np.mean(agreements)) if agreements else np.nan)

    def _image(
        self, image: Entry, entries: list[Entry], known: Mapping[tuple[int, int], Entry]
    ) -> list[_Choice | None]:
        """Choose the masks of the points of an image; None: a point has none."""
        pixels = _pixels(image, entries)
        choices: list[_Choice | None] = []
        for index, entry in enumerate(entries):
            own = entry.get('segmentation')
            found = known.get((entry['image_id'], entry['point_id']))
            if found is None or (own is None and not self.add_missing):
                choices.append(None if own is None else _Choice(own, 'own'))
            elif own is None:
                choices.append(_added(found['candidates'], pixels, index))
            else:
                choices.append(self._agreeing(own, found['candidates']))
        return choices

    def _agreeing(self, own: Rle, candidates: list[Entry]) -> _Choice:
        """Choose between the mask of a point and its candidates."""
        rles = [each['segmentation'] for each in candidates]
        scores = np.array([each['score'] for each in candidates])
        ious = mask_utils.iou(rles, [own], [0])[:, 0]
        allowed = (ious >= self.min_iou) & (mask_utils.area(rles) > 0)
        if not allowed.any():
            return _Choice(own, 'own')
        place = int(np.where(allowed, ious + self.score_weight * scores, -1).argmax())
        return _Choice(rles[place], f'candidate {place}', place, float(ious[place]))


def _added(candidates: list[Entry], pixels: npt.NDArray[np.int64], index: int) -> _Choice | None:
    """Choose a candidate for a point without a mask; None: all are empty."""
    masks = np.array([decode_rle(each['segmentation']) for each in candidates])
    held = clicks_held(masks, pixels)
    holds = masks[:, pixels[index, 0], pixels[index, 1]]
    place = best_candidate(
        np.array([each['score'] for each in candidates]),
        areas=masks.sum((1, 2)),
        holds_click=holds,
        num_others=held - holds,
    )
    if not masks[place].any():
        return None
    return _Choice(candidates[place]['segmentation'], 'added', place)


def _order(name: str) -> tuple[int, str]:
    """Return the place of an outcome among the figures; more than three candidates come last."""
    names = list(OUTCOMES)
    return names.index(name) if name in names else len(names), name


def _pixels(image: Entry, entries: list[Entry]) -> npt.NDArray[np.int64]:
    """Return row and column of each point; points outside the image at the nearest pixel."""
    points = np.array([entry['point'] for entry in entries], np.float64).reshape(-1, 2)
    last = np.array([image['height'], image['width']]) - 1
    return np.clip(points_to_pixels(points), 0, last)


def _without_overlaps(
    image: Entry, entries: list[Entry], choices: list[_Choice | None]
) -> list[dict[str, Any] | None]:
    """Give each pixel to one point; return the keys of each point's mask, None without pixels."""
    size = image['height'], image['width']
    places = [index for index, choice in enumerate(choices) if choice is not None]
    rles = [choice.rle for choice in choices if choice is not None]
    drawn = paint_smaller_on_top(
        [int(mask_utils.area(rle)) for rle in rles], lambda n: decode_rle(rles[n]), size=size
    )
    for number, (index, rle) in enumerate(zip(places, rles, strict=True), start=1):
        if 'segmentation' in entries[index]:  # what it had before and still has
            before = mask_utils.merge([rle, entries[index]['segmentation']], intersect=True)
            drawn[decode_rle(before)] = number
    points = np.array([entries[index]['point'] for index in places], np.float64).reshape(-1, 2)
    inside = points_inside(points, *size)
    pixels = _pixels(image, [entries[index] for index in places])
    # in reverse, so that the first of several points in a pixel keeps it
    for number in np.flatnonzero(inside)[::-1]:
        drawn[tuple(pixels[number])] = number + 1
    found: list[dict[str, Any] | None] = [None] * len(entries)
    for index, new in zip(places, encode_instance_map(drawn, len(places)), strict=True):
        if new is not None:
            found[index] = mask_entries(new)
    return found


def _annotation_of(entry: Entry, known: Mapping[tuple[int, int], Entry]) -> Entry:
    """Return an annotation for a label or for a dropped point, without what it was chosen from."""
    if 'reason' in entry:
        entry = known[entry['image_id'], entry['point_id']]
    return {key: value for key, value in entry.items() if key not in ('candidate', 'candidates')}


def _point_of(entry: Entry) -> Entry:
    """Return the entry of a dropped point."""
    keys = ('image_id', 'category_id', 'point', 'point_id', 'reason')
    return {key: entry[key] for key in keys if key in entry}
