"""Mean average precision by the VOC instance protocol."""

from collections.abc import Sequence
from typing import Any

from mmengine.logging import print_log

from mmp2seg.evaluation.functional.class_masks import check_sizes, truth_masks
from mmp2seg.evaluation.functional.instance_tables import class_table, voc_figures
from mmp2seg.evaluation.functional.truth_file import TruthFile
from mmp2seg.evaluation.functional.voc_instance_ap import (
    IOU_THRESHOLDS,
    average_precisions,
    match_image,
)
from mmp2seg.evaluation.metrics.per_image_metric import PerImageMetric
from mmp2seg.evaluation.metrics.prediction_encoding import (
    category_ids_of_labels,
    encode_detections,
    warn_of_category_order,
)
from mmp2seg.registry import METRICS


@METRICS.register_module()
class VOCInstanceMetric(PerImageMetric):
    """mAP of table 1, as chainercv's ``eval_instance_segmentation_voc`` computes it.

    The protocol is described in :mod:`mmp2seg.evaluation.functional.voc_instance_ap`. Takes the
    predictions of stage 1 and of any instance segmentor of mmdet. Figures, in percent with two
    decimals: ``mAP25``, ``mAP50``, ``mAP70``, ``mAP75``, and with ``classwise`` those of each class
    as ``AP50/person`` and so on; nan for a class without objects, and for a mean over no class.

    Args:
        ann_file: COCO json with the true instances of the tested images. Its annotations with
            ``iscrowd`` are no objects, and wrong predictions on them do not count.
        iou_thresholds: IoUs of the figures, in (0, 1].
        classwise: Also give the figures of each class, and print them as a table.
        score_thr: Predictions with lower scores are left out.
        max_per_image: The best so many predictions of an image are kept; None = all.
        collect_device: See mmengine's ``BaseMetric``.
        prefix: See mmengine's ``BaseMetric``.
        collect_dir: See mmengine's ``BaseMetric``.

    Raises:
        ValueError: ``ann_file`` is malformed or lacks an image or a class of the data set; a
            predicted mask does not have the size of its image.
    """

    default_prefix = 'voc'

    def __init__(
        self,
        ann_file: str,
        *,
        iou_thresholds: Sequence[float] = IOU_THRESHOLDS,
        classwise: bool = False,
        score_thr: float = 0.0,
        max_per_image: int | None = None,
        collect_device: str = 'cpu',
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix, collect_dir=collect_dir)
        if not iou_thresholds or not all(0 < iou <= 1 for iou in iou_thresholds):
            raise ValueError(f'expected IoU thresholds in (0, 1], got {iou_thresholds}')
        self.truth = TruthFile(ann_file)
        self.iou_thresholds = tuple(iou_thresholds)
        self.classwise = classwise
        self.score_thr = score_thr
        self.max_per_image = max_per_image

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Compare the instances of a batch of data samples; keeps a few numbers per instance."""
        category_ids = category_ids_of_labels(self.truth.categories, self.dataset_meta)
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
            matches = match_image(pred, scores, objects, crowds, iou_thresholds=self.iou_thresholds)
            self.results.append({'image_id': image_id, 'matches': matches})

    def compute_over_images(self, results: list[dict]) -> dict:
        """APs over all images."""
        warn_of_category_order(self.truth.categories, self.dataset_meta)
        aps = average_precisions(
            [result['matches'] for result in results],
            category_ids_of_labels(self.truth.categories, self.dataset_meta),
            num_thresholds=len(self.iou_thresholds),
        )
        if not self.classwise:
            return voc_figures(aps, self.iou_thresholds)
        names = [category['name'] for category in self.truth.categories]
        classes = list((self.dataset_meta or {}).get('classes') or names)
        table = class_table(aps, self.iou_thresholds, classes)
        print_log(f'VOC instance AP in %\n{table}', logger='current')
        return voc_figures(aps, self.iou_thresholds, classes)
