"""All figures of a file of predictions: VOC AP, missing and adjacent rate, COCO AP."""

import contextlib
import io
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from pycocotools import mask as mask_utils
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mmp2seg.evaluation.functional.class_masks import truth_masks
from mmp2seg.evaluation.functional.missing_adjacent import (
    AdjacentObjects,
    found_objects,
    summarize_found,
)
from mmp2seg.evaluation.functional.prediction_file import PredictionFile
from mmp2seg.evaluation.functional.truth_file import TruthFile
from mmp2seg.evaluation.functional.truth_maps import is_crowd
from mmp2seg.evaluation.functional.voc_instance_ap import (
    IOU_THRESHOLDS,
    average_precisions,
    match_image,
)

COCO_FIGURES = ('AP', 'AP50', 'AP75', 'AP_small', 'AP_medium', 'AP_large')


class InstanceReport(NamedTuple):
    """Figures of a file of predictions.

    Attributes:
        aps: ``(K, T)`` VOC APs of the truth's categories, nan without objects.
        found: result of :func:`~mmp2seg.evaluation.functional.missing_adjacent.summarize_found`.
        num_predictions: number of predictions that were compared.
    """

    aps: np.ndarray
    found: dict[str, float]
    num_predictions: int


def compare_instances(
    pred: PredictionFile,
    adjacent: AdjacentObjects,
    *,
    iou_thresholds: Sequence[float] = IOU_THRESHOLDS,
    track: Callable[[Sequence[int]], Iterable[int]] = iter,
) -> InstanceReport:
    """Compare a file of predictions with the truth; decode one image at a time.

    Args:
        pred: predictions and ids of the images to compare.
        adjacent: rule of adjacent objects, with the same truth as ``pred``.
        iou_thresholds: ``T`` IoU thresholds of the VOC APs.
        track: function that wraps the image ids, e.g. to show a progress bar.
    """
    truth = pred.truth
    matches, found, flags, num_predictions = [], [np.zeros(0, bool)], [np.zeros(0, bool)], 0
    for image_id in track(pred.image_ids):
        objects, crowds = truth_masks(truth, image_id)
        masks, scores = pred.of_image(image_id)
        matches.append(match_image(masks, scores, objects, crowds, iou_thresholds=iou_thresholds))
        found.append(found_objects(masks, objects))
        flags.append(adjacent.of_image(image_id, objects))
        num_predictions += len(scores)
    category_ids = [category['id'] for category in truth.categories]
    return InstanceReport(
        average_precisions(matches, category_ids, num_thresholds=len(iou_thresholds)),
        summarize_found(np.concatenate(found), np.concatenate(flags)),
        num_predictions,
    )


def coco_ap(pred: PredictionFile) -> dict[str, float]:
    """Compute COCO's mask AP by pycocotools, with at most 100 predictions per image.

    Returns:
        dict: :data:`COCO_FIGURES` as fractions; nan where there are no objects.
    """
    results = []
    for image_id in pred.image_ids:
        masks, scores = pred.of_image(image_id)
        for rle, category_id, score in zip(*masks, scores, strict=True):
            entry = dict(image_id=image_id, category_id=int(category_id), score=float(score))
            results.append({**entry, 'segmentation': rle})
    with contextlib.redirect_stdout(io.StringIO()):
        truth = _coco(pred.truth, pred.image_ids)
        # loadRes does not take an empty list
        found = truth.loadRes(results) if results else _with_annotations(truth.dataset, [])
        evaluation = COCOeval(truth, found, 'segm')
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    stats = np.where(evaluation.stats[:6] < 0, np.nan, evaluation.stats[:6])
    return dict(zip(COCO_FIGURES, stats.tolist(), strict=True))


def _coco(truth: TruthFile, image_ids: Sequence[int]) -> COCO:
    annotations = []
    for image_id in image_ids:
        parts = truth_masks(truth, image_id)
        rles = [iter(part.rles) for part in parts]  # of objects, of crowds
        for ann in truth.annotations_of(image_id):
            rle = next(rles[is_crowd(ann)])
            entry = {key: ann[key] for key in ('image_id', 'category_id')}
            entry |= dict(id=len(annotations) + 1, iscrowd=int(is_crowd(ann)), segmentation=rle)
            annotations.append({**entry, 'area': ann.get('area', float(mask_utils.area(rle)))})
    images = [truth.images[image_id] for image_id in image_ids]
    dataset = {'info': {}, 'images': images, 'categories': truth.categories}
    return _with_annotations(dataset, annotations)


def _with_annotations(dataset: dict, annotations: list[dict]) -> COCO:
    coco = COCO()
    coco.dataset = {**dataset, 'annotations': annotations}
    coco.createIndex()
    return coco
