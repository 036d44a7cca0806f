"""Missing and adjacent rate of table 8."""

import numpy as np
from mmengine.logging import print_log

from mmp2seg.evaluation.functional.instance_tables import found_figures, missing_adjacent_table
from mmp2seg.evaluation.functional.missing_adjacent import (
    AdjacentObjects,
    found_objects,
    summarize_found,
)
from mmp2seg.evaluation.metrics.instance_metric import ImageInstances, InstanceMetric
from mmp2seg.registry import METRICS


@METRICS.register_module()
class MissingAdjacentMetric(InstanceMetric):
    """Rate of missing objects, and rate of found ones among adjacent objects (table 8).

    The paper gives no formula for them, so the definition is ours. An object is found if a
    prediction of its class has an IoU of at least .5 with it, else it is missing. An object is
    adjacent if another object of its class is at most ``gap`` pixels away or, with ``void_dir``,
    across the void band that VOC draws between objects. The figures are ``missing_rate_iou50`` and
    ``adjacent_rate_iou50`` (share of the adjacent objects that are found), in percent with two
    decimals and nan without such objects, and the counts ``num_objects``, ``num_missing_iou50``,
    ``num_adjacent``, ``num_adjacent_found_iou50``.

    Scores are not used. A detector of mmdet returns up to 100 instances per image, with scores down
    to .05, and the rates include all of them. ``score_thr`` restricts them to what a user would
    look at. The paper does not say which threshold it uses.

    Args:
        ann_file: COCO json with the true instances of the tested images. Annotations with
            ``iscrowd`` are not objects.
        gap: largest distance of adjacent objects, in pixels.
        void_dir: folder of VOC's ``SegmentationObject`` or ``SegmentationClass``: PNGs with the
            images' names, 255 = void. None: no void band.
        void_gap: largest number of steps over void pixels from an object to an adjacent one, see
            :func:`~mmp2seg.ops.adjacency.touching_objects`.
        score_thr: drop predictions with lower scores.
        max_per_image: keep the top ``max_per_image`` predictions of an image. None: keep all.
        collect_device: argument of mmengine's ``BaseMetric``.
        prefix: argument of mmengine's ``BaseMetric``.
        collect_dir: argument of mmengine's ``BaseMetric``.

    Raises:
        FileNotFoundError: ``void_dir`` or ``ann_file`` does not exist.
        ValueError: ``ann_file`` is malformed or lacks an image or a class of the dataset; a mask
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
        super().__init__(
            ann_file,
            score_thr=score_thr,
            max_per_image=max_per_image,
            collect_device=collect_device,
            prefix=prefix,
            collect_dir=collect_dir,
        )
        self.adjacent = AdjacentObjects(self.truth, gap=gap, void_dir=void_dir, void_gap=void_gap)

    def compare(self, image: ImageInstances) -> dict:
        """Compute two flags per object of an image."""
        return {
            'found': found_objects(image.pred, image.objects),
            'adjacent': self.adjacent.of_image(image.image_id, image.objects),
        }

    def compute_over_images(self, results: list[dict]) -> dict:
        """Compute the rates over the objects of all images."""
        figures = summarize_found(
            np.concatenate([np.zeros(0, bool), *(result['found'] for result in results)]),
            np.concatenate([np.zeros(0, bool), *(result['adjacent'] for result in results)]),
        )
        print_log(f'\n{missing_adjacent_table(figures, self.adjacent)}', logger='current')
        return found_figures(figures)
