"""Pseudo labels with their IoU with the truth, sorted from good to bad."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pycocotools import mask as mask_utils

from mmp2seg.evaluation.functional.pseudo_masks import match_points
from mmp2seg.evaluation.functional.truth_file import TruthFile
from mmp2seg.evaluation.functional.truth_maps import is_crowd
from mmp2seg.files.json_reading import is_finite_number


@dataclass(frozen=True)
class ScoredPoint:
    """A point with a mask.

    Attributes:
        entry: annotation of the pseudo label json.
        truth: annotation of its true object, with a compressed RLE. None: unknown.
        iou: IoU of the two masks. None: the true object is not known.
    """

    entry: Mapping[str, Any]
    truth: Mapping[str, Any] | None = None
    iou: float | None = None


def scored_points(
    labels: Mapping[str, Any], truth: TruthFile | None = None, *, match: str = 'point'
) -> list[ScoredPoint]:
    """Return the points with a mask of a pseudo label json, in its order.

    Args:
        labels: content of the json.
        truth: true instances; image and category ids are those of ``labels``.
        match: see :func:`mmp2seg.evaluation.functional.pseudo_masks.point_matched_ious`.

    Raises:
        ValueError: a score or a point is not finite numbers, or the truth does not fit.
    """
    for part in ('annotations', 'dropped_points'):
        for index, entry in enumerate(labels[part]):
            _check_numbers(f'{part}[{index}]', entry)
    if truth is None:
        return [ScoredPoint(entry) for entry in labels['annotations']]
    truth.check_same_ids(labels, where='pseudo labels')
    of_image = defaultdict(list)
    for entry in labels['annotations']:
        of_image[entry['image_id']].append(entry)
    category_ids = {category['id'] for category in labels['categories']}
    found = {}
    for image_id, entries in of_image.items():
        objects = [
            {**ann, 'segmentation': truth.rle_of(ann)}
            for ann in truth.annotations_of(image_id)
            if ann['category_id'] in category_ids and not is_crowd(ann)
        ]
        try:
            matches = match_points(entries, objects, match=match)
        except ValueError as error:
            raise ValueError(f'{truth.place_of(image_id)}: {error}') from error
        for entry, index in zip(entries, matches, strict=True):
            true = None if index is None else objects[index]
            found[entry['id']] = ScoredPoint(entry, true, true and _iou(entry, true, truth))
    return [found[entry['id']] for entry in labels['annotations']]


def best_and_worst(
    points: Sequence[ScoredPoint], num: int
) -> tuple[list[ScoredPoint], list[ScoredPoint]]:
    """Return up to ``num`` points of the best and of the worst masks, none in both lists.

    The order is by IoU if any is known, without the points whose object is not known, and else by
    score. With fewer than ``2 * num`` points, each list gets half of them.

    Returns:
        tuple: the best, best first; the worst, worst first.
    """
    known = [point for point in points if point.iou is not None]
    key = (lambda p: p.iou) if known else (lambda p: p.entry['score'])
    ordered = sorted(known or points, key=key)
    worst = ordered[: min(num, len(ordered) // 2)]
    best = ordered[len(worst) :][::-1][:num]
    return best, worst


def _iou(entry: Mapping[str, Any], true: Mapping[str, Any], truth: TruthFile) -> float:
    sizes = [list(part['segmentation']['size']) for part in (entry, true)]
    if sizes[0] != sizes[1]:
        place = truth.place_of(entry['image_id'])
        raise ValueError(f'{place}: expected masks of one size, got {sizes[0]} and {sizes[1]}')
    return float(mask_utils.iou([entry['segmentation']], [true['segmentation']], [0])[0, 0])


def _check_numbers(place: str, entry: Mapping[str, Any]) -> None:
    if 'score' in entry and not is_finite_number(entry['score']):
        raise ValueError(f'{place}: expected a finite score, got {entry["score"]!r:.60}')
    point = entry['point']
    if not (isinstance(point, list) and len(point) == 2 and all(map(is_finite_number, point))):
        raise ValueError(f'{place}: expected a point [x, y], got {point!r:.60}')


def mean_or_none(values: Sequence[float]) -> float | None:
    """Return the mean of values, None without any."""
    return float(np.mean(values)) if len(values) else None
