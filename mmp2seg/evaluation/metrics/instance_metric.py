"""Base of metrics that compare predicted instances with those of a COCO json."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from mmp2seg.evaluation.functional.class_masks import ClassMasks, check_sizes, truth_masks
from mmp2seg.evaluation.functional.truth_file import TruthFile
from mmp2seg.evaluation.metrics.per_image_metric import PerImageMetric
from mmp2seg.evaluation.metrics.prediction_encoding import (
    category_ids_of_labels,
    encode_detections,
    warn_of_category_order,
)


class ImageInstances(NamedTuple):
    """Predicted and true instances of one image.

    Attributes:
        image_id: id of the image in the truth.
        pred: ``P`` predicted masks.
        scores: ``(P,)`` float64.
        objects: true masks of the dataset's classes.
        crowds: crowd regions.
    """

    image_id: int
    pred: ClassMasks
    scores: np.ndarray
    objects: ClassMasks
    crowds: ClassMasks


class InstanceMetric(PerImageMetric):
    """Base of metrics that compare predicted instances with true ones, image by image.

    The predictions come from stage 1 or from any instance segmentor of mmdet.

    Args:
        ann_file: COCO json with the true instances of the tested images.
        score_thr: drop predictions with lower scores.
        max_per_image: keep the top ``max_per_image`` predictions of an image. None: keep all.
        collect_device: argument of mmengine's ``BaseMetric``.
        prefix: argument of mmengine's ``BaseMetric``.
        collect_dir: argument of mmengine's ``BaseMetric``.

    Raises:
        FileNotFoundError: ``ann_file`` does not exist.
        ValueError: ``ann_file`` is malformed or lacks an image or a class of the dataset; a
            predicted mask does not have the size of its image.
    """

    def __init__(
        self,
        ann_file: str,
        *,
        score_thr: float,
        max_per_image: int | None,
        collect_device: str,
        prefix: str | None,
        collect_dir: str | None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix, collect_dir=collect_dir)
        self.truth = TruthFile(ann_file)
        self.score_thr = score_thr
        self.max_per_image = max_per_image

    @property
    def category_ids(self) -> list[int]:
        """Category of each label, by the names of the dataset's classes."""
        return category_ids_of_labels(self.truth.categories, self.dataset_meta)

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Compare the instances of a batch of data samples; keep only figures, no masks."""
        category_ids = self.category_ids
        for data_sample in data_samples:
            image_id = data_sample['img_id']
            objects, crowds = truth_masks(self.truth, image_id)
            pred, scores = encode_detections(
                data_sample,
                category_ids,
                score_thr=self.score_thr,
                max_per_image=self.max_per_image,
            )
            check_sizes(pred.rles, self.truth, image_id)
            objects = objects.of_categories(category_ids)
            image = ImageInstances(image_id, pred, scores, objects, crowds)
            self.results.append({'image_id': image_id, **self.compare(image)})

    def compute_metrics(self, results: list[dict]) -> dict:
        """Compute the figures from the results of all ranks."""
        warn_of_category_order(self.truth.categories, self.dataset_meta)
        return super().compute_metrics(results)

    @abstractmethod
    def compare(self, image: ImageInstances) -> dict:
        """Compare the instances of one image; return its result for ``compute_over_images``."""
