"""Replace pseudo masks by those of the segmentor that trains on them, where these are better.

Stage 2 can correct the labels it learns from: what is wrong in the masks of a few objects does not
agree with the rest of the data set. A mask is replaced only under conditions that the point checks.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pycocotools import mask as mask_utils

from mmp2seg.ops.coords import points_to_pixels
from mmp2seg.ops.rle import decode_rle, encode_rle
from mmp2seg.pseudo_labels.coco_json import Entry
from mmp2seg.pseudo_labels.labels import ImageLabels

# Reasons of points that cannot have a mask (mmp2seg.codecs.DROP_REASONS).
_HOPELESS = ('duplicate', 'outside_image')
# Keys of an entry that do not fit another mask.
_OF_OLD_MASK = ('reason', 'candidate')


@dataclass(frozen=True)
class PredictedInstances:
    """Instances that a segmentor finds in an image.

    Attributes:
        category_ids: M COCO category ids.
        scores: M scores.
        masks: M compressed RLEs of the image's size.
    """

    category_ids: Sequence[int]
    scores: Sequence[float]
    masks: Sequence[Entry]


@dataclass(frozen=True)
class RefreshedImage:
    """The labels of an image after a refresh.

    Attributes:
        annotations: entries without ids.
        dropped_points: entries of the points that still have no mask.
        num_replaced: masks that were replaced.
        num_found: points without a mask that got one.
    """

    annotations: list[Entry]
    dropped_points: list[Entry]
    num_replaced: int
    num_found: int


def refresh_image(
    labels: ImageLabels,
    predictions: PredictedInstances,
    *,
    min_score: float = 0.7,
    min_iou: float = 0.5,
    round_name: int = 0,
) -> RefreshedImage:
    """Replace the masks of an image by predictions that agree with their points and are surer.

    A prediction takes the place of a point's mask if it has the point's class, contains its click
    and that of no other point, has an IoU of at least ``min_iou`` with the mask, and a score of at
    least ``min_score`` and above that of the mask. If there are several, the one with the highest
    score is taken. A point without a mask gets one under the same conditions, without the IoU,
    unless it is a duplicate or outside of the image. A pixel of several masks then belongs to the
    one with the highest score, so masks stay disjoint; a mask that would vanish keeps the pixels
    that it had. Objects with a true mask or box (``supervision``) keep their masks.

    Args:
        labels: the present labels of the image.
        predictions: what the segmentor finds in it.
        min_score: lowest score of a prediction.
        min_iou: lowest IoU with the mask that is replaced.
        round_name: kept as ``refreshed`` in the entries that change, such as the iteration.
    """
    hopeless = [point for point in labels.dropped_points if point['reason'] in _HOPELESS]
    dropped = [point for point in labels.dropped_points if point['reason'] not in _HOPELESS]
    points = [*labels.annotations, *dropped]
    if not points or not len(predictions.masks):
        return RefreshedImage(list(labels.annotations), list(labels.dropped_points), 0, 0)
    height, width = labels.image['height'], labels.image['width']
    clicks = points_to_pixels([entry['point'] for entry in points])  # (N, 2) rows and columns
    clicks = np.clip(clicks, 0, (height - 1, width - 1))
    owners = _owners(predictions, points, clicks, min_score)
    entries, changed = [], set()
    for number, entry in enumerate(points):
        own = [index for index, owner in enumerate(owners) if owner == number]
        best = _best(entry, predictions, own, min_iou)
        if best is not None and entry.get('supervision', 'point') == 'point':
            changed.add(number)
            entry = {
                **{key: value for key, value in entry.items() if key not in _OF_OLD_MASK},
                'iscrowd': 0,
                'segmentation': predictions.masks[best],
                'score': float(predictions.scores[best]),
                'refreshed': round_name,
            }
        entries.append(entry)
    if not changed:
        return RefreshedImage(list(labels.annotations), list(labels.dropped_points), 0, 0)
    num_before = len(labels.annotations)
    num_found = sum(number >= num_before for number in changed)
    return RefreshedImage(
        _make_disjoint([entry for entry in entries if 'segmentation' in entry], height, width),
        [*(entry for entry in entries if 'segmentation' not in entry), *hopeless],
        len(changed) - num_found,
        num_found,
    )


def _owners(
    predictions: PredictedInstances,
    points: Sequence[Entry],
    clicks: npt.NDArray[np.int64],
    min_score: float,
) -> list[int | None]:
    """Return the point of each prediction: the only one in it, if the class is the same."""
    owners: list[int | None] = []
    for category_id, score, mask in zip(
        predictions.category_ids, predictions.scores, predictions.masks, strict=True
    ):
        inside: npt.NDArray[np.int64] = np.zeros(0, np.int64)
        if score >= min_score:
            inside = np.flatnonzero(decode_rle(mask)[clicks[:, 0], clicks[:, 1]])
        alone = len(inside) == 1 and points[inside[0]]['category_id'] == category_id
        owners.append(int(inside[0]) if alone else None)
    return owners


def _best(
    entry: Entry, predictions: PredictedInstances, candidates: Iterable[int], min_iou: float
) -> int | None:
    """Return the surest prediction that may replace an entry's mask; None if there is none."""
    best, best_score = None, entry.get('score', -np.inf)
    for index in candidates:
        if predictions.scores[index] <= best_score:
            continue
        if 'segmentation' in entry:
            iou = mask_utils.iou([predictions.masks[index]], [entry['segmentation']], [0])
            if iou.item() < min_iou:
                continue
        best, best_score = index, predictions.scores[index]
    return best


def _make_disjoint(annotations: list[Entry], height: int, width: int) -> list[Entry]:
    """Give a pixel of several masks to a true one, else to the one with the highest score."""

    def rank(number: int) -> tuple[bool, float]:
        ann = annotations[number]
        return ann.get('supervision') == 'mask', ann['score']

    owner = np.zeros((height, width), np.int32)  # 0: none
    for number in sorted(range(len(annotations)), key=rank):
        owner[decode_rle(annotations[number]['segmentation'])] = number + 1
    result = []
    for number, ann in enumerate(annotations, start=1):
        mask = owner == number
        rle = encode_rle(mask) if mask.any() else ann['segmentation']
        box = [float(side) for side in mask_utils.toBbox(rle)]
        area = int(mask_utils.area(rle))
        is_true = ann.get('supervision') == 'mask'
        result.append(ann if is_true else {**ann, 'segmentation': rle, 'bbox': box, 'area': area})
    return result
