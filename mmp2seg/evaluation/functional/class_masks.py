"""Masks of an image with their categories, and IoUs per class."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from pycocotools import mask as mask_utils

from mmp2seg.evaluation.functional.truth_file import TruthFile
from mmp2seg.evaluation.functional.truth_maps import is_crowd


class ClassMasks(NamedTuple):
    """Masks of one image.

    Attributes:
        rles: ``N`` compressed RLEs.
        category_ids: ``(N,)`` int64.
    """

    rles: Sequence[dict]
    category_ids: np.ndarray

    @classmethod
    def of(cls, rles: Sequence[dict], category_ids: Sequence[int]) -> 'ClassMasks':
        """Build the masks with an array of categories; both may be empty."""
        return cls(list(rles), np.asarray(category_ids, dtype=np.int64).reshape(-1))

    def select(self, indices: np.ndarray) -> 'ClassMasks':
        """Return the masks at ``indices`` (integers), in that order."""
        return ClassMasks([self.rles[i] for i in indices], self.category_ids[indices])

    def of_categories(self, category_ids: Sequence[int]) -> 'ClassMasks':
        """Return the masks of the given categories."""
        return self.select(np.flatnonzero(np.isin(self.category_ids, list(category_ids))))


def truth_masks(truth: TruthFile, image_id: int) -> tuple[ClassMasks, ClassMasks]:
    """Return the objects and the crowd regions of an image.

    Returns:
        tuple: the objects, and the annotations with ``iscrowd``.

    Raises:
        ValueError: the image is not in the file, or a mask is malformed; the message names file,
            image and annotation.
    """
    annotations = truth.annotations_of(image_id)
    objects = [ann for ann in annotations if not is_crowd(ann)]
    crowds = [ann for ann in annotations if is_crowd(ann)]
    return _class_masks(objects, truth), _class_masks(crowds, truth)


def check_sizes(rles: Sequence[dict], truth: TruthFile, image_id: int) -> None:
    """Check that predicted masks have the size of their image in the file of the truth.

    Raises:
        ValueError: a mask has another size; the message names file, image and sizes.
    """
    size = [truth.images[image_id][side] for side in ('height', 'width')]
    for rle in rles:
        if list(rle['size']) != size:
            raise ValueError(
                f'{truth.place_of(image_id)}: expected predicted masks of the image size {size}, '
                f'got {list(rle["size"])}'
            )


def best_indices(
    scores: np.ndarray, *, score_thr: float = 0.0, max_per_image: int | None = None
) -> np.ndarray:
    """Select predictions of an image by their scores; return their indices in ascending order.

    Args:
        scores: ``(P,)`` floats.
        score_thr: drop predictions with lower scores.
        max_per_image: keep at most this many, the ones with the highest scores; the first of equal
            scores. None: no limit.
    """
    ranked = np.argsort(-scores, kind='stable')[:max_per_image]
    return np.sort(ranked[scores[ranked] >= score_thr])


def ious_by_class(
    pred: ClassMasks, truth: ClassMasks, *, crowd: bool = False
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Compute the IoUs of the predictions of each class with the true masks of the same class.

    Args:
        pred: predicted masks.
        truth: true masks of the same image and size.
        crowd: compute the share of the predicted mask inside the true one instead of the IoU.

    Yields:
        tuple: for each category of ``pred``, in the order of the ids: the ``(P,)`` indices of its
        predictions, the ``(G,)`` indices of its true masks, which may be none, and the ``(P, G)``
        float64 IoUs; 0 for two empty masks.
    """
    for category_id in np.unique(pred.category_ids):
        of_pred = np.flatnonzero(pred.category_ids == category_id)
        of_truth = np.flatnonzero(truth.category_ids == category_id)
        ious = np.zeros((len(of_pred), len(of_truth)))
        if ious.size:
            rles = [truth.rles[i] for i in of_truth]
            ious[:] = mask_utils.iou([pred.rles[i] for i in of_pred], rles, [crowd] * len(rles))
        yield of_pred, of_truth, ious


def _class_masks(annotations: Sequence[dict], truth: TruthFile) -> ClassMasks:
    rles = [truth.rle_of(ann) for ann in annotations]
    return ClassMasks.of(rles, [ann['category_id'] for ann in annotations])
