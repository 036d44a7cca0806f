"""Read points and regions from data samples, and write instances into them.

:mod:`mmp2seg.structures.fields` lists the fields.
"""

from mmengine.structures import BaseDataElement, InstanceData

from mmp2seg.codecs.point_results import ImagePoints, PointInstances
from mmp2seg.ops.components import Regions
from mmp2seg.ops.masks import masks_to_boxes_xyxy


def image_points(sample: BaseDataElement) -> ImagePoints:
    """Return the points and regions of a training sample.

    Args:
        sample: with ``gt_instances``, ``gt_region_map`` and ``gt_regions``.

    Raises:
        ValueError: the sample has no regions.
    """
    if 'gt_region_map' not in sample:
        raise ValueError(
            'expected data samples with gt_region_map: the train pipeline ends with '
            'mmp2seg.FindRegions and mmp2seg.PackPointInputs (or mmp2seg.PackSegPointInputs)'
        )
    return ImagePoints(
        points_xy=sample.gt_instances.points,
        labels=sample.gt_instances.labels,
        regions=Regions(
            region_map=sample.gt_region_map.region_map[0],
            labels=sample.gt_regions.labels,
            areas=sample.gt_regions.areas,
        ),
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
    sample.dropped_points = InstanceData(
        points=dropped.points,
        labels=dropped.labels,
        point_ids=dropped.point_ids,
        reasons=instances.reasons,
    )
