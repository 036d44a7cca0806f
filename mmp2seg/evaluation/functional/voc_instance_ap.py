"""Average precision (AP) by the VOC instance protocol.

The protocol is chainercv's ``eval_instance_segmentation_voc`` with its defaults, which BESTIE and
P2Seg use:

- A prediction is compared with the object of its image and class with the largest IoU, the first
  one of equal IoUs. It is right if the IoU is at least the threshold and no prediction with a
  higher score was right for the same object. Otherwise it is wrong, even if it also overlaps
  another object.
- The predictions of a class are ranked by score over all images. AP is the area under the whole
  precision-recall curve, with precision made monotonic (not the eleven points of VOC 2007).
- A class with objects and without predictions has an AP of 0. A class without objects has no AP and
  does not enter the mean.

Two rules are not chainercv's. Predictions with equal scores rank in the order of the images and,
within an image, of the predictions; chainercv uses numpy's unstable sort. VOC has no crowd regions;
here they are not objects, and, as in COCO, a wrong prediction is ignored if at least the
threshold's share of it lies in a crowd region of its class.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from mmp2seg.evaluation.functional.class_masks import ClassMasks, ious_by_class

IOU_THRESHOLDS = (0.25, 0.5, 0.7, 0.75)  # table 1
RIGHT, WRONG, LEFT_OUT = 1, 0, -1


@dataclass(frozen=True)
class ImageMatches:
    """Data of one image that AP needs; not a NamedTuple, as mmengine would convert it to a tuple.

    Attributes:
        category_ids: ``(P,)`` int64 category of each prediction.
        scores: ``(P,)`` float64, descending.
        outcomes: ``(P, T)`` int8, ``RIGHT``, ``WRONG`` or ``LEFT_OUT`` at each threshold.
        true_category_ids: ``(G,)`` int64 category of each object.
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
        crowds: crowd regions.
        iou_thresholds: ``T`` IoU thresholds in (0, 1].
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
    """Compute the AP of each class at each threshold.

    Args:
        matches: matches of all images, in an order that does not depend on the number of processes.
        category_ids: ids of the ``K`` classes.
        num_thresholds: number ``T`` of thresholds in the matches.

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
    """Compute the area under the curve of monotonic precision over recall.

    Args:
        outcomes: ``(P,)`` outcomes of the predictions of a class, highest score first.
        num_objects: number of objects of the class.

    Returns:
        float: AP in [0, 1]; nan without objects.
    """
    if num_objects == 0:
        return float('nan')
    right = outcomes[outcomes != LEFT_OUT] == RIGHT
    precision = np.cumsum(right) / np.arange(1, len(right) + 1)
    monotonic = np.maximum.accumulate(precision[::-1])[::-1]
    # each right prediction raises recall by 1 / num_objects
    return float(monotonic[right].sum() / num_objects)


def mean_over_classes(aps: np.ndarray) -> np.ndarray:
    """Average ``(K, T)`` APs over classes with objects -> ``(T,)``; nan without such classes."""
    known = ~np.isnan(aps).all(axis=1)
    return aps[known].mean(axis=0) if known.any() else np.full(aps.shape[1], np.nan)


def _first_of_each_object(ious: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Convert ``(P, G)`` IoUs, highest score first, to ``(P, T)`` outcomes."""
    nearest, best = ious.argmax(axis=1), ious.max(axis=1)
    outcomes = np.full((len(ious), len(thresholds)), WRONG, dtype=np.int8)
    for column, threshold in zip(outcomes.T, thresholds, strict=True):
        reaching = np.flatnonzero(best >= threshold)
        _, first = np.unique(nearest[reaching], return_index=True)
        column[reaching[first]] = RIGHT
    return outcomes
