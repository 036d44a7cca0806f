"""Mean average precision by the VOC instance protocol."""

from collections.abc import Sequence

from mmengine.logging import print_log

from mmp2seg.evaluation.functional.instance_tables import class_table, voc_figures
from mmp2seg.evaluation.functional.voc_instance_ap import (
    IOU_THRESHOLDS,
    average_precisions,
    match_image,
)
from mmp2seg.evaluation.metrics.instance_metric import ImageInstances, InstanceMetric
from mmp2seg.registry import METRICS


@METRICS.register_module()
class VOCInstanceMetric(InstanceMetric):
    """mAP of table 1, as chainercv's ``eval_instance_segmentation_voc`` computes it.

    :mod:`mmp2seg.evaluation.functional.voc_instance_ap` describes the protocol. The predictions
    come from stage 1 or from any instance segmentor of mmdet. The figures, in percent with two
    decimals, are ``mAP25``, ``mAP50``, ``mAP70``, ``mAP75`` and, with ``classwise``, those of each
    class as ``AP50/person`` etc.; nan for a class without objects and for a mean over no class.

    Args:
        ann_file: COCO json with the true instances of the tested images. Annotations with
            ``iscrowd`` are not objects, and wrong predictions on them are ignored.
        iou_thresholds: IoU thresholds of the figures, in (0, 1].
        classwise: include the figures of each class, and print them as a table.
        score_thr: drop predictions with lower scores.
        max_per_image: keep the top ``max_per_image`` predictions of an image. None: keep all.
        collect_device: argument of mmengine's ``BaseMetric``.
        prefix: argument of mmengine's ``BaseMetric``.
        collect_dir: argument of mmengine's ``BaseMetric``.

    Raises:
        FileNotFoundError: ``ann_file`` does not exist.
        ValueError: an IoU threshold is outside (0, 1]; ``ann_file`` is malformed or lacks an image
            or a class of the dataset; a predicted mask does not have the size of its image.
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
        if not iou_thresholds or not all(0 < iou <= 1 for iou in iou_thresholds):
            raise ValueError(f'expected IoU thresholds in (0, 1], got {iou_thresholds}')
        super().__init__(
            ann_file,
            score_thr=score_thr,
            max_per_image=max_per_image,
            collect_device=collect_device,
            prefix=prefix,
            collect_dir=collect_dir,
        )
        self.iou_thresholds = tuple(iou_thresholds)
        self.classwise = classwise

    def compare(self, image: ImageInstances) -> dict:
        """Match the predictions of an image; a few numbers per instance."""
        matches = match_image(
            image.pred,
            image.scores,
            image.objects,
            image.crowds,
            iou_thresholds=self.iou_thresholds,
        )
        return {'matches': matches}

    def compute_over_images(self, results: list[dict]) -> dict:
        """Compute the APs over all images."""
        aps = average_precisions(
            [result['matches'] for result in results],
            self.category_ids,
            num_thresholds=len(self.iou_thresholds),
        )
        if not self.classwise:
            return voc_figures(aps, self.iou_thresholds)
        names = [category['name'] for category in self.truth.categories]
        classes = list((self.dataset_meta or {}).get('classes') or names)
        table = class_table(aps, self.iou_thresholds, classes)
        print_log(f'VOC instance AP in %\n{table}', logger='current')
        return voc_figures(aps, self.iou_thresholds, classes)
