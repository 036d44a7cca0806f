"""Read points and regions from data samples, and write instances into them.

:mod:`mmp2seg.structures.fields` lists the fields.
"""

from collections.abc import Sequence

import torch
from mmengine.structures import BaseDataElement, InstanceData

from mmp2seg.codecs.given_masks import GivenMasks
from mmp2seg.codecs.point_results import ImagePoints, PointInstances
from mmp2seg.ops.components import Regions
from mmp2seg.ops.masks import masks_to_boxes_xyxy
from mmp2seg.ops.rle import Rle, decode_rle


def image_points(sample: BaseDataElement) -> ImagePoints:
    """Return the points and regions of a training sample.

    Args:
        sample: with ``gt_instances``, ``gt_region_map`` and ``gt_regions``; with true masks or
            boxes also ``gt_given`` and ``gt_given_masks``.

    Raises:
        ValueError: the sample has no regions.
    """
    if 'gt_region_map' not in sample:
        raise ValueError(
            'expected data samples with gt_region_map: the train pipeline ends with '
            'mmp2seg.FindRegions and mmp2seg.PackPointInputs (or mmp2seg.PackSegPointInputs)'
        )
    given = None
    if 'gt_given' in sample and len(sample.gt_given.indices):
        given = GivenMasks(
            sample.gt_given.indices, sample.gt_given_masks.limits, sample.gt_given.is_mask
        )
    return ImagePoints(
        points_xy=sample.gt_instances.points,
        labels=sample.gt_instances.labels,
        regions=Regions(
            region_map=sample.gt_region_map.region_map[0],
            labels=sample.gt_regions.labels,
            areas=sample.gt_regions.areas,
        ),
        given=given,
    )


def require_original_points(sample: BaseDataElement) -> InstanceData:
    """Return the ``ori_points`` of a sample.

    Raises:
        ValueError: the sample has none.
    """
    if 'ori_points' not in sample:
        raise ValueError(
            'expected data samples with ori_points: the pipeline begins with '
            'mmp2seg.LoadPointAnnotations and ends with mmp2seg.PackPointInputs'
        )
    return sample.ori_points


def original_given_masks(sample: BaseDataElement, device: torch.device) -> GivenMasks | None:
    """Return the true masks and boxes of the ``ori_points`` of a sample; None: there are none."""
    points = require_original_points(sample)
    if 'supervision' not in points:
        return None
    return decode_given(points.supervision, points.given, device=device)


def decode_given(
    kinds: Sequence[str], rles: Sequence[Rle | None], *, device: torch.device
) -> GivenMasks | None:
    """Decode the masks and boxes of the points of an image; None: there are none.

    Args:
        kinds: N of :data:`mmp2seg.datasets.point_supervision.SUPERVISION_KINDS`.
        rles: N RLEs of masks and filled boxes; not read for points alone.
    """
    places = [index for index, kind in enumerate(kinds) if kind != 'point']
    if not places:
        return None
    limits = torch.stack([torch.from_numpy(decode_rle(_known(rles[n]))) for n in places])
    is_mask = torch.tensor([kinds[n] == 'mask' for n in places])
    return GivenMasks(torch.tensor(places), limits, is_mask).to(device)


def add_instances(sample: BaseDataElement, instances: PointInstances) -> None:
    """Write instances into a sample, as ``pred_instances`` and ``dropped_points``.

    Args:
        sample: with ``ori_points``, the points that the instances were decoded from.
        instances: in the original frame.
    """
    points = require_original_points(sample).to(instances.masks.device)
    kept, dropped = points[instances.kept], points[instances.dropped]
    sample.pred_instances = InstanceData(
        masks=instances.masks,
        bboxes=masks_to_boxes_xyxy(instances.masks),
        scores=instances.scores,
        labels=kept.labels,
        points=kept.points,
        point_ids=kept.point_ids,
    )
    if 'supervision' in kept:
        sample.pred_instances.supervision = kept.supervision
    sample.dropped_points = InstanceData(
        points=dropped.points,
        labels=dropped.labels,
        point_ids=dropped.point_ids,
        reasons=instances.reasons,
    )


def _known(rle: Rle | None) -> Rle:
    assert rle is not None, 'a point with a mask or a box has its pixels'
    return rle
