"""Draw the inputs and outputs of stage 1 for one image as one picture."""

from collections.abc import Sequence

import cv2
import numpy as np
from mmdet.structures import DetDataSample
from torch import Tensor

from mmp2seg.evaluation.functional.truth_maps import decode_masks, is_crowd
from mmp2seg.ops.components import IGNORE
from mmp2seg.visualization.panels import (
    Palette,
    distinct_colors,
    draw_instances,
    draw_offset_field,
    draw_outlines,
    draw_points,
    draw_semantic_map,
    wrap_panels,
)


def stage1_panels(
    image: np.ndarray,
    data_sample: DetDataSample,
    truth: Sequence[dict] | None = None,
    *,
    palette: Palette | None = None,
) -> list[tuple[str, np.ndarray]]:
    """Make the panels of an image: points, weak map, predicted map, offsets, instances, truth.

    Points without an instance are drawn as crosses. Fields that the data sample lacks have no
    panel. The panel of the truth also has the outlines of the instances, in white.

    Args:
        image: ``(H, W, 3)`` uint8 RGB, the original image.
        data_sample: of stage 1, with ``pred_instances`` and ``dropped_points``, or with
            ``ori_points`` if nothing was predicted; optionally with ``gt_sem_seg`` (the weak map,
            in the frame of the network's input), ``pred_sem_seg`` and ``pred_offset``.
        truth: COCO annotations of the image. None: make no panel of the truth.
        palette: RGB colours of the classes. None: use distinct colours.

    Returns:
        list: per panel its title and ``(H, W, 3)`` uint8 RGB image.

    Raises:
        ValueError: a predicted map does not have the size of the image.
    """
    height, width = image.shape[:2]
    palette = palette or distinct_colors(_num_classes(data_sample))
    pred = data_sample.get('pred_instances')
    clicked = data_sample.ori_points if pred is None else pred
    points, labels = _numpy(clicked.points), _numpy(clicked.labels)
    with_points = draw_points(image, points, labels, palette)
    if 'dropped_points' in data_sample:
        dropped = data_sample.dropped_points
        with_points = draw_points(
            with_points, _numpy(dropped.points), _numpy(dropped.labels), palette, crossed=True
        )
    panels = [('image and points', with_points)]
    if 'gt_sem_seg' in data_sample:
        weak_map = _to_image_frame(data_sample, height, width)
        panels.append(('weak map', draw_semantic_map(weak_map, palette)))
    foreground = None
    if 'pred_sem_seg' in data_sample:
        pred_map = _numpy(data_sample.pred_sem_seg.sem_seg)[0]
        _check_size('pred_sem_seg', pred_map, height, width)
        foreground = (pred_map > 0) & (pred_map != IGNORE)
        panels.append(('predicted map', draw_semantic_map(pred_map, palette)))
    if 'pred_offset' in data_sample:
        offset = _numpy(data_sample.pred_offset.offset)
        _check_size('pred_offset', offset[0], height, width)
        panels.append(offset_panel(offset, foreground))
    masks = np.zeros((0, height, width), dtype=bool)
    if pred is not None:
        masks = _numpy(pred.masks)
        panels.append(('instances', draw_instances(image, masks, labels, points, palette=palette)))
    if truth is not None:
        with_outlines = draw_outlines(_draw_truth(image, truth), masks)
        panels.append(('truth, instances outlined', with_outlines))
    return panels


def draw_stage1(
    image: np.ndarray,
    data_sample: DetDataSample,
    truth: Sequence[dict] | None = None,
    *,
    palette: Palette | None = None,
) -> np.ndarray:
    """Join the panels of :func:`stage1_panels` into one RGB picture, three in a row."""
    return wrap_panels(stage1_panels(image, data_sample, truth, palette=palette))


def offset_panel(
    offset: np.ndarray, valid: np.ndarray | None = None, *, title: str = 'offset field'
) -> tuple[str, np.ndarray]:
    """Make the panel of an offset field; its title says what the rim of the wheel is in pixels.

    Args:
        offset: ``(2, H, W)`` floats, ``(dx, dy)`` in pixels.
        valid: ``(H, W)`` bool; other pixels are black. None: all are valid.
        title: first words of the title.
    """
    lengths = np.hypot(*offset)[valid if valid is not None else ...]
    # not the longest vector, because a few outliers would make all small objects look white
    rim = float(np.quantile(lengths, 0.9)) if lengths.size else 0.0
    title = f'{title}, rim of the wheel = {rim:.0f} px'
    return title, draw_offset_field(offset, valid=valid, max_length=rim)


def _to_image_frame(data_sample: DetDataSample, height: int, width: int) -> np.ndarray:
    weak_map = _numpy(data_sample.gt_sem_seg.sem_seg)[0]
    rows, cols = data_sample.img_shape[:2]  # without the padding of the batch
    weak_map = weak_map[:rows, :cols].astype(np.uint8)
    return cv2.resize(weak_map, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)


def _draw_truth(image: np.ndarray, truth: Sequence[dict]) -> np.ndarray:
    objects = [ann for ann in truth if not is_crowd(ann)]
    return draw_instances(image, decode_masks(objects, *image.shape[:2]), [0] * len(objects))


def _num_classes(data_sample: DetDataSample) -> int:
    parts = [data_sample.get(n) for n in ('pred_instances', 'dropped_points', 'ori_points')]
    labels = [part.labels for part in parts if part is not None]
    maps = [data_sample.get(name) for name in ('gt_sem_seg', 'pred_sem_seg')]
    classes = [_numpy(part) for part in labels]
    classes += [_numpy(m.sem_seg)[_numpy(m.sem_seg) != IGNORE] - 1 for m in maps if m is not None]
    return int(max((part.max() for part in classes if part.size), default=-1)) + 1


def _check_size(name: str, array: np.ndarray, height: int, width: int) -> None:
    if array.shape != (height, width):
        raise ValueError(f'expected {name} of the image size {(height, width)}, got {array.shape}')


def _numpy(values: Tensor) -> np.ndarray:
    return values.detach().cpu().numpy()
