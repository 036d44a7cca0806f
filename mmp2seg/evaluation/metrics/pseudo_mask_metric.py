"""Pseudo masks against true ones during a test run."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mmp2seg.evaluation.functional.pseudo_masks import MATCH_RULES, summarize_ious
from mmp2seg.evaluation.functional.truth_file import TruthFile
from mmp2seg.evaluation.metrics.per_image_metric import PerImageMetric
from mmp2seg.pseudo_labels.coco_json import category_ids_of, encode_image
from mmp2seg.registry import METRICS

PERCENTAGES = ('mean_iou', 'mean_iou_touching', 'found_touching_iou50')


@METRICS.register_module()
class PseudoMaskMetric(PerImageMetric):
    """Compare each true object with the pseudo instance of its point (table 6 of the paper).

    Figures: ``mean_iou``, ``mean_iou_touching`` and ``found_touching_iou50`` in percent with two
    decimals (nan without such objects); the counts ``num_iou50``, ``num_iou70``, ``num_iou90``,
    ``num_objects`` and ``num_touching``. Touching objects are those with another one of their class
    at most ``gap`` pixels away.

    Args:
        ann_file: COCO json with the true instances of the tested images; read for evaluation only.
            Its crowds, and categories that are no class of the dataset, are left out.
        match: how an object finds its instance: ``'point'``, ``'point_id'`` or ``'order'``, see
            :func:`~mmp2seg.evaluation.functional.pseudo_masks.point_matched_ious`.
        gap: largest distance of touching objects, in pixels.
        collect_device, prefix, collect_dir: arguments of mmengine's ``BaseMetric``.
    """

    default_prefix = 'pseudo_masks'

    def __init__(
        self,
        ann_file: str,
        *,
        match: str = 'point',
        gap: int = 2,
        collect_device: str = 'cpu',
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix, collect_dir=collect_dir)
        if match not in MATCH_RULES:
            raise ValueError(f'expected match to be one of {MATCH_RULES}, got {match!r}')
        self.truth = TruthFile(ann_file)
        self.match = match
        self.gap = gap

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Compare the instances of a batch of data samples; keeps two numbers per object."""
        classes = (self.dataset_meta or {}).get('classes')
        category_ids = category_ids_of(self.truth.categories, classes)
        for data_sample in data_samples:
            image_id = data_sample['img_id']
            annotations, _ = encode_image(data_sample, category_ids)
            ious, touching = self.truth.compare(
                image_id,
                annotations,
                category_ids=category_ids,
                match=self.match,
                gap=self.gap,
            )
            self.results.append({'image_id': image_id, 'ious': ious, 'touching': touching})

    def compute_over_images(self, results: list[dict]) -> dict:
        """Figures over the objects of all images."""
        figures = summarize_ious(
            np.concatenate([np.zeros(0), *(result['ious'] for result in results)]),
            np.concatenate([np.zeros(0, bool), *(result['touching'] for result in results)]),
        )
        for name in PERCENTAGES:
            figures[name] = round(100 * figures[name], 2)
        return figures
