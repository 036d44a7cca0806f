"""Scored masks of a data sample as RLE, for the metrics of instance segmentation."""

import logging
from collections.abc import Sequence

import numpy as np
from mmengine.logging import print_log

from mmp2seg.evaluation.functional.class_masks import ClassMasks, best_indices
from mmp2seg.ops.rle import encode_rle
from mmp2seg.pseudo_labels.coco_json import category_ids_of, to_numpy


def category_ids_of_labels(categories: Sequence[dict], dataset_meta: dict | None) -> list[int]:
    """Category of each label, by the names of the dataset's classes; see ``category_ids_of``."""
    return category_ids_of(categories, (dataset_meta or {}).get('classes'))


def warn_of_category_order(categories: Sequence[dict], dataset_meta: dict | None) -> None:
    """Log a warning where labels by name and mmdet's labels differ.

    mmdet's ``CocoDataset`` numbers the categories in the order of its annotation file, regardless
    of the order of its classes.
    """
    category_ids = category_ids_of_labels(categories, dataset_meta)
    in_file = [category['id'] for category in categories if category['id'] in category_ids]
    if in_file != category_ids:
        print_log(
            "the categories of ann_file and the dataset's classes have different orders: the "
            "figures assume labels in the order of the classes, but mmdet's CocoDataset numbers "
            'labels in the order of the categories',
            logger='current',
            level=logging.WARNING,
        )


def encode_detections(
    data_sample: dict,
    category_ids: Sequence[int],
    *,
    score_thr: float = 0.0,
    max_per_image: int | None = None,
) -> tuple[ClassMasks, np.ndarray]:
    """Masks and scores in ``pred_instances``, of stage 1 or of any instance segmentor of mmdet.

    Args:
        data_sample: its ``pred_instances`` has ``labels``, ``masks`` (``(P, H, W)`` bool or RLEs)
            and ``scores``; ``mask_scores`` take precedence, as in mmdet's ``CocoMetric``.
        category_ids: the category of each label.
        score_thr: leave out instances with lower scores.
        max_per_image: keep the top ``max_per_image`` of the others; None = all.

    Returns:
        tuple: the masks and their ``(N,)`` float64 scores, in the order of ``pred_instances``.

    Raises:
        ValueError: for missing masks, a number of masks that differs from that of labels or scores,
            a label without category, or a score that is nan; the message names the image.
    """
    image_id, pred = data_sample['img_id'], data_sample['pred_instances']
    where = f'image {image_id} ({data_sample.get("img_path")})'
    if 'masks' not in pred:
        raise ValueError(f'{where}: expected predicted masks, got {sorted(pred.keys())}')
    scores = to_numpy(pred['mask_scores' if 'mask_scores' in pred else 'scores'])
    scores, labels = scores.astype(np.float64), to_numpy(pred['labels']).astype(np.int64)
    masks = pred['masks'] if isinstance(pred['masks'], list) else to_numpy(pred['masks'])
    if not len(masks) == len(labels) == len(scores):
        counts = [len(masks), len(labels), len(scores)]
        raise ValueError(f'{where}: expected as many masks as labels and scores, got {counts}')
    wrong = labels[(labels < 0) | (labels >= len(category_ids))]
    if len(wrong):
        raise ValueError(f'{where}: expected labels in 0..{len(category_ids) - 1}, got {wrong[0]}')
    if np.isnan(scores).any():
        raise ValueError(f'{where}: expected numbers as scores, got nan')
    kept = best_indices(scores, score_thr=score_thr, max_per_image=max_per_image)
    rles = [masks[i] if isinstance(masks[i], dict) else encode_rle(masks[i]) for i in kept]
    return ClassMasks.of(rles, [category_ids[labels[i]] for i in kept]), scores[kept]
