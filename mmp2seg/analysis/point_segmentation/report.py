"""Table, json and pictures of a comparison of point segmentation methods."""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from pycocotools import mask as mask_utils

from mmp2seg.analysis.point_segmentation.evaluation import MethodScores, segment
from mmp2seg.analysis.point_segmentation.truth_images import TruthImage, TruthImages
from mmp2seg.analysis.tables import format_table
from mmp2seg.ops.semantic_iou import per_class_iou
from mmp2seg.segmenters import PointSegmentation, PointSegmentationMethod
from mmp2seg.visualization.panels import (
    distinct_colors,
    draw_instances,
    draw_points,
    draw_semantic_map,
    panel_grid,
    panel_row,
    picture_path,
    write_png,
)

# Figures by column of the table, in percent.
_COLUMNS = {
    'mIoU': 'miou',
    'object IoU': 'mean_iou',
    'smallest 1/4': 'mean_iou_quarter1',
    'largest 1/4': 'mean_iou_quarter4',
    'touching': 'mean_iou_touching',
    'IoU > .5': 'share_iou50',
    'unsure': 'unsure_share',
}


def make_table(scores: Mapping[str, MethodScores]) -> str:
    """Return a Markdown table with a row per method; all figures but the seconds in percent."""
    rows = []
    for name, of_method in scores.items():
        figures = of_method.figures()
        percents = [_percent(figures[key]) for key in _COLUMNS.values()]
        rows.append([name, *percents, f'{figures["seconds"]:.3f}'])
    return format_table(['method', *_COLUMNS, 's / image'], rows)


def as_json(scores: Mapping[str, MethodScores], images: TruthImages) -> dict:
    """Return all figures as plain json types, with None for nan.

    Returns:
        dict: the data (``classes``, ``long_side``, ``min_area``, ``num_images``, ``num_objects``,
        ``num_void``), and ``methods`` by name: the figures of :meth:`MethodScores.figures`,
        ``class_iou`` by name, and ``images``, each with its ``name``, ``miou``, ``mean_iou``,
        ``seconds``, and the IoUs (``ious``) and areas (``areas``) of its objects.
    """
    of_any = next(iter(scores.values())).images if scores else []
    return dict(
        classes=images.classes,
        long_side=images.long_side,
        min_area=images.min_area,
        num_images=len(images),
        num_objects=sum(len(image.ious) for image in of_any),
        num_void=sum(image.num_void for image in of_any),
        methods={name: _method_json(entry, images.classes) for name, entry in scores.items()},
    )


def draw_worst(
    methods: Mapping[str, PointSegmentationMethod],
    scores: Mapping[str, MethodScores],
    images: TruthImages,
    folder: str | Path,
    *,
    num: int = 5,
    maps: str | Path,
) -> list[Path]:
    """Draw the images with the lowest mean IoU of their objects to ``<folder>/<method>/``.

    The methods run again on these images. The names of the pictures begin with their rank.

    Args:
        methods: methods by name.
        scores: scores of the methods on ``images``.
        images: the images.
        folder: folder of the pictures; it is created.
        num: number of pictures of each method.
        maps: see :func:`~mmp2seg.analysis.point_segmentation.evaluation.given_map`.

    Returns:
        list[Path]: the pictures.
    """
    paths = []
    for name, method in methods.items():
        for rank, index in enumerate(scores[name].worst(num), start=1):
            truth = images[index]
            result = segment(method, truth, num_classes=len(images.classes), maps=maps)
            of_image = scores[name].images[index]
            flat_name = truth.name.replace('/', '_')
            path = picture_path(Path(folder, name), f'{rank:02d}_{flat_name}')
            title = (
                f'{flat_name}: object IoU {_percent(of_image.mean_iou)}, '
                f'mIoU {_percent(of_image.miou)}'
            )
            write_png(
                path, draw_result(truth, result, num_classes=len(images.classes), title=title)
            )
            paths.append(path)
    return paths


def draw_result(
    truth: TruthImage, result: PointSegmentation, *, num_classes: int, title: str
) -> np.ndarray:
    """Draw an image with its points, the true masks and map, and the result below them.

    Returns:
        np.ndarray: ``(h, w, 3)`` uint8 RGB.
    """
    palette = distinct_colors(num_classes)
    points = draw_points(truth.image_rgb, truth.points_xy, truth.labels, palette)
    true_masks = np.zeros((len(truth.points_xy), *truth.image_rgb.shape[:2]), bool)
    for rle, point in zip(truth.object_rles, truth.object_points):
        if point >= 0:
            true_masks[point] = mask_utils.decode(rle)
    numbers = np.arange(1, len(truth.points_xy) + 1)[:, None, None]
    found_masks = result.instance_map == numbers
    masks = [
        draw_instances(truth.image_rgb, of_source, truth.labels, truth.points_xy, palette=palette)
        for of_source in (true_masks, found_masks)
    ]
    maps = [
        draw_semantic_map(semantic_map, palette)
        for semantic_map in (truth.semantic_map, result.semantic_map)
    ]
    return panel_grid(
        [
            panel_row([(title, points), ('true masks', masks[0]), ('true map', maps[0])]),
            panel_row([('image', truth.image_rgb), ('masks', masks[1]), ('map', maps[1])]),
        ]
    )


def _method_json(scores: MethodScores, classes: list[str]) -> dict:
    class_iou = per_class_iou(scores.matrix).tolist()
    return dict(
        **{key: _or_none(value) for key, value in scores.figures().items()},
        class_iou={name: _or_none(iou) for name, iou in zip(['background', *classes], class_iou)},
        images=[
            dict(
                name=image.name,
                miou=_or_none(image.miou),
                mean_iou=_or_none(image.mean_iou),
                seconds=image.seconds,
                ious=image.ious.tolist(),
                areas=image.areas.tolist(),
            )
            for image in scores.images
        ],
    )


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value


def _percent(value: float) -> str:
    return '-' if math.isnan(value) else f'{100 * value:.1f}'
