"""Missing and adjacent rate of table 8."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.logging import print_log

from mmp2seg.evaluation.functional.class_masks import check_sizes, truth_masks
from mmp2seg.evaluation.functional.instance_tables import found_figures, missing_adjacent_table
from mmp2seg.evaluation.functional.missing_adjacent import (
    AdjacentObjects,
    found_objects,
    summarize_found,
)
from mmp2seg.evaluation.functional.truth_file import TruthFile
from mmp2seg.evaluation.metrics.per_image_metric import PerImageMetric
from mmp2seg.evaluation.metrics.prediction_encoding import (
    category_ids_of_labels,
    encode_detections,
    warn_of_category_order,
)
from mmp2seg.registry import METRICS


@METRICS.register_module()
class MissingAdjacentMetric(PerImageMetric):
    """Share of the objects that are missing, and of the adjacent ones that are found (table 8).

    The paper gives no formula for them. Ours: an object is found if a prediction of its class
    reaches IoU .5 with it, else it is missing. An object is adjacent if another one of its class is
    at most ``gap`` pixels away or, with ``void_dir``, across the void band that VOC leaves between
    objects. Figures: ``missing_rate_iou50`` and ``adjacent_rate_iou50`` (share of the adjacent
    objects that are found) in percent with two decimals, nan without such objects; the counts
    ``num_objects``, ``num_missing_iou50``, ``num_adjacent``, ``num_adjacent_found_iou50``.

    Scores play no part, and a detector of mmdet puts out up to 100 instances per image, down to
    scores of .05: the rates are those of everything it offers. ``score_thr`` restricts them to what
    a user would look at; whatever the paper did about it is not published.

    Args:
        ann_file: COCO json with the true instances of the tested images, those with ``iscrowd``
            apart.
        gap: Largest distance of adjacent objects, in pixels.
        void_dir: Folder of VOC's ``SegmentationObject`` or ``SegmentationClass``: PNGs with the
            images' names and 255 for void; None: no void band.
        void_gap: Most steps over void pixels from an object to an adjacent one, see
            :func:`~mmp2seg.ops.adjacency.touching_objects`.
        score_thr: Predictions with lower scores are left out; 0 = none.
        max_per_image: The best so many predictions of an image are kept; None = all.
        collect_device: See mmengine's ``BaseMetric``.
        prefix: See mmengine's ``BaseMetric``.
        collect_dir: See mmengine's ``BaseMetric``.

    Raises:
        FileNotFoundError: There is no ``void_dir`` or ``ann_file``.
        ValueError: ``ann_file`` is malformed or lacks an image or a class of the data set; a mask
            or void map does not have the size of its image.
    """

    default_prefix = 'objects'

    def __init__(
        self,
        ann_file: str,
        *,
        gap: int = 2,
        void_dir: str | None = None,
        void_gap: int = 6,
        score_thr: float = 0.0,
        max_per_image: int | None = None,
        collect_device: str = 'cpu',
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix, collect_dir=collect_dir)
        self.truth = TruthFile(ann_file)
        self.adjacent = AdjacentObjects(self.truth, gap=gap, void_dir=void_dir, void_gap=void_gap)
        self.score_thr = score_thr
        self.max_per_image = max_per_image

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Compare the instances of a batch of data samples; keeps two flags per object."""
        category_ids = category_ids_of_labels(self.truth.categories, self.dataset_meta)
        for data_sample in data_samples:
            image_id = data_sample['img_id']
            objects, _ = truth_masks(self.truth, image_id)
            objects = objects.of_categories(category_ids)
            pred, _ = encode_detections(
                data_sample,
                category_ids,
                score_thr=self.score_thr,
                max_per_image=self.max_per_image,
            )
            check_sizes(pred.rles, self.truth, image_id)
            self.results.append(
                {
                    'image_id': image_id,
                    'found': found_objects(pred, objects),
                    'adjacent': self.adjacent.of_image(image_id, objects),
                }
            )

    def compute_over_images(self, results: list[dict]) -> dict:
        """Rates over the objects of all images."""
        figures = summarize_found(
            np.concatenate([np.zeros(0, bool), *(result['found'] for result in results)]),
            np.concatenate([np.zeros(0, bool), *(result['adjacent'] for result in results)]),
        )
        warn_of_category_order(self.truth.categories, self.dataset_meta)
        print_log(f'\n{missing_adjacent_table(figures, self.adjacent)}', logger='current')
        return found_figures(figures)
