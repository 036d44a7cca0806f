"""From the data samples that a metric gets to the entries of a pseudo label json, or to RLE."""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.logging import print_log
from torch import Tensor

from mmp2seg.evaluation.functional.class_masks import ClassMasks, best_indices
from mmp2seg.ops.rle import encode_rle
from mmp2seg.pseudo_labels.coco_json import (
    category_ids_of,
    encode_dropped_points,
    encode_instances,
)


def encode_predictions(data_sample: dict, category_ids: Sequence[int]) -> list[dict]:
    """``pred_instances`` of a data sample as annotations; see ``encode_instances``."""
    pred = data_sample['pred_instances']
    fields = [_to_numpy(pred[k]) for k in ('masks', 'labels', 'scores', 'points', 'point_ids')]
    return encode_instances(*fields, image_id=data_sample['img_id'], category_ids=category_ids)


def category_ids_of_labels(categories: Sequence[dict], dataset_meta: dict | None) -> list[int]:
    """Category of each label, by the names of the data set's classes; see ``category_ids_of``."""
    return category_ids_of(categories, (dataset_meta or {}).get('classes'))


def warn_of_category_order(categories: Sequence[dict], dataset_meta: dict | None) -> None:
    """Log a warning where labels by name and mmdet's labels differ.

    mmdet's ``CocoDataset`` numbers the categories as they come in its annotation file, whatever the
    order of its classes.
    """
    category_ids = category_ids_of_labels(categories, dataset_meta)
    in_file = [category['id'] for category in categories if category['id'] in category_ids]
    if in_file != category_ids:
        print_log(
            "the categories of ann_file do not come in the order of the data set's classes: the "
            "figures hold for labels in the order of the classes, but mmdet's CocoDataset numbers "
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
    """``pred_instances`` of a data sample, of stage 1 or of any instance segmentor of mmdet.

    Args:
        data_sample: its ``pred_instances`` has ``labels``, ``masks`` (``(P, H, W)`` bool or RLEs)
            and ``scores``, or ``mask_scores``, which go before them as in mmdet's ``CocoMetric``.
        category_ids: the category of each label.
        score_thr: instances with lower scores are left out.
        max_per_image: the best so many of the others are kept; None = all.

    Returns:
        tuple: the masks and their ``(N,)`` float64 scores, in the order of ``pred_instances``.

    Raises:
        ValueError: no masks, another number of them than of labels or scores, a label without
            category or a score that is no number; names the image.
    """
    image_id, pred = data_sample['img_id'], data_sample['pred_instances']
    where = f'image {image_id} ({data_sample.get("img_path")})'
    if 'masks' not in pred:
        raise ValueError(f'{where}: expected predicted masks, got {sorted(pred.keys())}')
    scores = _to_numpy(pred['mask_scores' if 'mask_scores' in pred else 'scores'])
    scores, labels = scores.astype(np.float64), _to_numpy(pred['labels']).astype(np.int64)
    masks = pred['masks'] if isinstance(pred['masks'], list) else _to_numpy(pred['masks'])
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


def encode_dropped(data_sample: dict, category_ids: Sequence[int]) -> list[dict]:
    """``dropped_points`` of a data sample as json entries; a sample without them has none."""
    dropped = data_sample.get('dropped_points')
    if not dropped:
        return []
    return encode_dropped_points(
        *(_to_numpy(dropped[key]) for key in ('labels', 'points', 'point_ids')),
        dropped['reasons'],
        image_id=data_sample['img_id'],
        category_ids=category_ids,
    )


def check_each_point_once(
    data_sample: dict, annotations: Sequence[dict], dropped: Sequence[dict]
) -> None:
    """Assert that each point of ``gt_instances`` is an instance or a dropped point, not both."""
    expected = sorted(_to_numpy(data_sample['gt_instances']['point_ids']).tolist())
    got = sorted(entry['point_id'] for entry in [*annotations, *dropped])
    assert got == expected, (
        f'image {data_sample["img_id"]} ({data_sample.get("file_name")}): expected one instance or '
        f'one dropped point for each of the points {expected}, got {got}'
    )


def _to_numpy(values: Any) -> np.ndarray:
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
