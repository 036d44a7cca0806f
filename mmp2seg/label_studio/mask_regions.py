"""Masks as regions of Label Studio.

https://labelstud.io/guide/predictions describes the regions. A polygon is in per cent of the image.
"""

import uuid
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from mmp2seg.label_studio.label_config import BRUSH, LabelConfig
from mmp2seg.label_studio.task_points import Click
from mmp2seg.ops.polygons import mask_to_polygons


def mask_regions(
    mask: npt.NDArray[np.bool_],
    click: Click,
    score: float,
    config: LabelConfig,
    *,
    encode: Callable[[npt.NDArray[np.bool_]], list[int]],
) -> list[dict[str, Any]]:
    """Return the regions of the mask of a click: one brush region, or a polygon for each part.

    Polygons have no holes. ``meta.point_id`` of a region is the id of the keypoint.

    Args:
        mask: ``(H, W)`` bool.
        click: its point.
        score: in ``[0, 1]``.
        config: the tags.
        encode: see :func:`mmp2seg.label_studio.sdk.encode_brush`.
    """
    height, width = mask.shape
    if config.mask_kind == BRUSH:
        values: list[dict[str, Any]] = [dict(format='rle', rle=encode(mask))]
    else:
        per_cent = np.array([100 / width, 100 / height])
        values = [
            dict(points=(np.reshape(polygon, (-1, 2)) * per_cent).tolist(), closed=True)
            for polygon in mask_to_polygons(mask)
        ]
    return [
        dict(
            # an accepted region keeps its id, so that one of a later answer needs another
            id=uuid.uuid4().hex[:10],
            type=config.mask_kind,
            from_name=config.mask_tag,
            to_name=config.image_tag,
            original_width=width,
            original_height=height,
            image_rotation=0,
            origin='prediction',
            score=score,
            meta=dict(point_id=click.region_id),
            value=value | {config.mask_kind: [click.label]},
        )
        for value in values
    ]
