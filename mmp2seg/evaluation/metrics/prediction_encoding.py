"""From the data samples that a metric gets to the entries of a pseudo label json."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from mmp2seg.pseudo_labels.coco_json import encode_dropped_points, encode_instances


def encode_predictions(data_sample: dict, category_ids: Sequence[int]) -> list[dict]:
    """``pred_instances`` of a data sample as annotations; see ``encode_instances``."""
    pred = data_sample['pred_instances']
    fields = [_to_numpy(pred[k]) for k in ('masks', 'labels', 'scores', 'points', 'point_ids')]
    return encode_instances(*fields, image_id=data_sample['img_id'], category_ids=category_ids)


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
