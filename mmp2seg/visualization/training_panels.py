"""Draw what a stage-1 network is fed: an augmented image with its points, regions and targets.

``H, W`` is the size of the network's input without the padding of a batch.
"""

from typing import NamedTuple

import numpy as np
from mmdet.structures import DetDataSample

from mmp2seg.codecs import PointPseudoLabeler
from mmp2seg.codecs.data_samples import image_points
from mmp2seg.visualization.panels import (
    Palette,
    distinct_colors,
    draw_instance_map,
    draw_points,
    draw_semantic_map,
)
from mmp2seg.visualization.stage1_panels import offset_panel

_ORPHAN = (128, 128, 128)


class RefinedTargets(NamedTuple):
    """Refined targets of an image.

    Attributes:
        instance_map: ``(H, W)`` integers, 0 = none, ``n + 1`` = pixels of point ``n``; negative
            pixels are ignored.
        offset: ``(2, H, W)`` float32 ``(dx, dy)`` in pixels.
        weight: ``(H, W)`` float32, 0 where the offset is not a target.
        semantic_map: ``(H, W)`` integers, the map S: 0 background, ``k + 1`` class ``k``, 255
            ignore. None if the distiller makes none.
    """

    instance_map: np.ndarray
    offset: np.ndarray
    weight: np.ndarray
    semantic_map: np.ndarray | None


def training_panels(
    image: np.ndarray,
    data_sample: DetDataSample,
    labeler: PointPseudoLabeler,
    *,
    refined: RefinedTargets | None = None,
    palette: Palette,
) -> list[tuple[str, np.ndarray]]:
    """Make the panels of a training sample.

    They are the image with its points, the weak map, its regions, the initial instances and
    offsets and, with ``refined``, the same of the refined targets. Each region has its own colour;
    a region without a point is grey, because no instance is made of it.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        data_sample: with the fields of training, see :mod:`mmp2seg.structures.fields`; without
            padding.
        labeler: of the model.
        refined: refined targets of the image. None: make no panels of them.
        palette: RGB colours of the classes.

    Returns:
        list: per panel its title and RGB image.

    Raises:
        ValueError: the sample has no regions.
    """
    points = image_points(data_sample)
    of_points = labeler.point_regions(points.points_xy, points.labels, points.regions)
    region_map = points.regions.region_map
    initial = labeler.targets(points.points_xy, region_map=region_map, point_regions=of_points)
    clicks, labels = points.points_xy.numpy(), points.labels.tolist()
    colors = [
        color if number in of_points.tolist() else _ORPHAN
        for number, color in enumerate(distinct_colors(len(points.regions.labels)), start=1)
    ]
    weak_map = data_sample.gt_sem_seg.sem_seg[0].numpy()
    of_instances = distinct_colors(len(labels))

    def instances(instance_map: np.ndarray) -> np.ndarray:
        drawn = draw_instance_map(image, np.maximum(instance_map, 0), of_instances)
        return draw_points(drawn, clicks, labels, palette)

    with_regions = draw_instance_map(image, region_map.numpy(), colors)
    panels = [
        ('augmented image and points', draw_points(image, clicks, labels, palette)),
        ('weak map', draw_semantic_map(weak_map, palette)),
        ('regions, grey: no point', draw_points(with_regions, clicks, labels, palette)),
        ('initial instances', instances(initial.instance_map.numpy())),
        offset_panel(initial.offset.numpy(), initial.weight.numpy() > 0, title='initial offsets'),
    ]
    if refined is None:
        return panels
    if refined.semantic_map is not None:
        panels.append(('refined map S', draw_semantic_map(refined.semantic_map, palette)))
    panels.append(('refined instances', instances(refined.instance_map)))
    panels.append(offset_panel(refined.offset, refined.weight > 0, title='refined offsets'))
    return panels
