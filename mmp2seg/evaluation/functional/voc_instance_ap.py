"""Average precision by the VOC instance protocol, image by image.

The protocol is that of chainercv's ``eval_instance_segmentation_voc`` with its defaults, by which
BESTIE and P2Seg measure:

- A prediction is compared with the object of its class and image that it has the largest IoU with,
  the first of several. It is right if the IoU reaches the threshold and no prediction with a
  higher score took the object; there is no second choice. Otherwise it is wrong.
- The predictions of a class are ranked by score over all images. AP is the area under the whole
  curve of precision over recall, precision made falling (not the eleven points of VOC 2007).
- A class with objects and without predictions has an AP of 0, one without objects has none and is
  left out of the mean.

Two points that chainercv leaves open: predictions with equal scores rank in the order of the images
and, within one, of the predictions (there by numpy's unstable sort), and crowd regions, which VOC
does not have, are no objects: a wrong prediction of which a share of at least the threshold lies in
a crowd region of its class does not count, as in COCO.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from mmp2seg.evaluation.functional.class_masks import ClassMasks, ious_by_class

IOU_THRESHOLDS = (0.25, 0.5, 0.7, 0.75)  # table 1
RIGHT, WRONG, LEFT_OUT = 1, 0, -1


@dataclass(frozen=True)
class ImageMatches:
    """What AP needs to know of one image; no tuple, of which mmengine would make a plain one.

    Attributes:
        category_ids: ``(P,)`` int64, of the predictions.
        scores: ``(P,)`` float64.
        outcomes: ``(P, T)`` int8, ``RIGHT``, ``WRONG`` or ``LEFT_OUT`` at each threshold.
        true_category_ids: ``(G,)`` int64, of the objects.
    """

    category_ids: np.ndarray
    scores: np.ndarray
    outcomes: np.ndarray
    true_category_ids: np.ndarray


def match_image(
    pred: ClassMasks,
    scores: np.ndarray,
    objects: ClassMasks,
    crowds: ClassMasks,
    *,
    iou_thresholds: Sequence[float] = IOU_THRESHOLDS,
) -> ImageMatches:
    """Compare the predictions of one image with its objects.

    Args:
        pred: ``P`` predicted masks.
        scores: ``(P,)`` floats.
        objects: ``G`` true masks.
        crowds: Crowd regions.
        iou_thresholds: ``T`` IoUs in (0, 1].
    """
    scores = np.asarray(scores, dtype=np.float64)
    thresholds = np.asarray(iou_thresholds, dtype=np.float64)
    order = np.argsort(-scores, kind='stable')
    pred, scores = pred.select(order), scores[order]
    outcomes = np.full((len(scores), len(thresholds)), WRONG, dtype=np.int8)
    for of_class, _, ious in ious_by_class(pred, objects):
        if ious.size:
            outcomes[of_class] = _first_of_each_object(ious, thresholds)
    for of_class, _, shares in ious_by_class(pred, crowds, crowd=True):
        if shares.size:
            in_crowd = shares.max(axis=1)[:, None] >= thresholds
            outcomes[of_class] -= in_crowd & (outcomes[of_class] == WRONG)  # 0 - 1 = LEFT_OUT
    return ImageMatches(pred.category_ids, scores, outcomes, objects.category_ids)


def average_precisions(
    matches: Sequence[ImageMatches], category_ids: Iterable[int], *, num_thresholds: int
) -> np.ndarray:
    """AP of each class at each threshold.

    Args:
        matches: Of all images, in an order that does not depend on how they were dealt out.
        category_ids: The ``K`` classes.
        num_thresholds: The ``T`` of the matches.

    Returns:
        np.ndarray: ``(K, T)`` float64 in [0, 1]; nan for a class without objects.
    """
    category_ids = list(category_ids)
    predicted = np.concatenate([np.zeros(0, np.int64), *(m.category_ids for m in matches)])
    scores = np.concatenate([np.zeros(0), *(m.scores for m in matches)])
    outcomes = np.concatenate(
        [np.zeros((0, num_thresholds), np.int8), *(m.outcomes for m in matches)]
    )
    true = np.concatenate([np.zeros(0, np.int64), *(m.true_category_ids for m in matches)])
    aps = np.full((len(category_ids), num_thresholds), np.nan)
    for row, category_id in zip(aps, category_ids, strict=True):
        of_class = np.flatnonzero(predicted == category_id)
        ranked = outcomes[of_class[np.argsort(-scores[of_class], kind='stable')]]
        num_objects = int((true == category_id).sum())
        row[:] = [average_precision(column, num_objects) for column in ranked.T]
    return aps


def average_precision(outcomes: np.ndarray, num_objects: int) -> float:
    """Area under the curve of falling precision over recall.

    Args:
        outcomes: ``(P,)`` outcomes of the predictions of a class, best score first.
        num_objects: Number of objects of the class.

    Returns:
        float: In [0, 1]; nan without objects.
    """
    if num_objects == 0:
        return float('nan')
    right = outcomes[outcomes != LEFT_OUT] == RIGHT
    precision = np.cumsum(right) / np.arange(1, len(right) + 1)
    falling = np.maximum.accumulate(precision[::-1])[::-1]
    # each right prediction moves recall on by 1 / num_objects
    return float(falling[right].sum() / num_objects)


def mean_over_classes(aps: np.ndarray) -> np.ndarray:
    """``(K, T)`` APs -> ``(T,)`` means over the classes with objects; nan without such classes."""
    known = ~np.isnan(aps).all(axis=1)
    return aps[known].mean(axis=0) if known.any() else np.full(aps.shape[1], np.nan)


def _first_of_each_object(ious: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """``(P, G)`` IoUs, best score first -> ``(P, T)`` outcomes."""
    nearest, best = ious.argmax(axis=1), ious.max(axis=1)
    outcomes = np.full((len(ious), len(thresholds)), WRONG, dtype=np.int8)
    for column, threshold in zip(outcomes.T, thresholds, strict=True):
        reaching = np.flatnonzero(best >= threshold)
        _, first = np.unique(nearest[reaching], return_index=True)
        column[reaching[first]] = RIGHT
    return outcomes
