"""Visualizer of mmengine that draws the panels of stage 1."""

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from mmdet.structures import DetDataSample
from mmdet.visualization import DetLocalVisualizer

from mmp2seg.evaluation.functional.truth_file import TruthFile
from mmp2seg.ops.rle import encode_rle
from mmp2seg.registry import VISUALIZERS
from mmp2seg.visualization.panels import Palette, distinct_colors, write_png
from mmp2seg.visualization.stage1_panels import draw_stage1
from mmp2seg.visualization.windows import can_show, show_picture


@VISUALIZERS.register_module()
class PointsVisualizer(DetLocalVisualizer):
    """Draw points, maps, offsets and instances of stage 1 side by side.

    A data sample without points is drawn as :class:`mmdet.visualization.DetLocalVisualizer` draws
    it, so that one config serves both stages.

    Args:
        name: name of the instance.
        vis_backends: configs of the backends, e.g. ``TensorboardVisBackend``.
        save_dir: folder of the backends' files.
        truth_file: COCO json with the true instances, whose image ids are those of the data. None:
            only samples that have ``gt_instances.masks`` are drawn beside their truth.

    Raises:
        FileNotFoundError, ValueError: ``truth_file`` is missing or malformed.
    """

    def __init__(
        self,
        name: str = 'visualizer',
        *,
        vis_backends: Sequence[dict] | dict | None = None,
        save_dir: str | None = None,
        truth_file: str | None = None,
    ) -> None:
        super().__init__(name, vis_backends=vis_backends, save_dir=save_dir)
        self._truth = None if truth_file is None else TruthFile(truth_file)

    def add_datasample(
        self,
        name: str,
        image: np.ndarray,
        data_sample: DetDataSample | None = None,
        draw_gt: bool = True,
        draw_pred: bool = True,
        show: bool = False,
        wait_time: float = 0,
        out_file: str | None = None,
        pred_score_thr: float = 0.3,
        step: int = 0,
    ) -> None:
        """Draw a data sample, and show it, write it to a file, or add it to the backends.

        Backends and window belong to the main process; a file is written by any process.

        Args:
            name: title of the picture in the backends.
            image: ``(H, W, 3)`` RGB, the original image.
            data_sample: of stage 1, see :func:`mmp2seg.visualization.stage1_panels.stage1_panels`.
            draw_gt: draw the truth, if it is known.
            draw_pred: False: draw the points and the weak map only.
            show: show the picture in a window; without a display, a warning says so.
            wait_time: seconds to show it.
            out_file: PNG to write. None: add the picture to the backends.
            pred_score_thr: of pictures without points; every point of stage 1 is drawn.
            step: step of the picture in the backends.
        """
        if data_sample is None or not _has_points(data_sample):
            backends = self._vis_backends
            if out_file is not None:  # mmcv writes no picture on a full disk, and is silent
                self._vis_backends = {}
            try:
                super().add_datasample(
                    name,
                    image,
                    data_sample,
                    draw_gt=draw_gt,
                    draw_pred=draw_pred,
                    show=show and can_show(name),
                    wait_time=wait_time,
                    pred_score_thr=pred_score_thr,
                    step=step,
                )
            finally:
                self._vis_backends = backends
            if out_file is not None:
                write_png(out_file, self.get_image())
            return
        image = image.clip(0, 255).astype(np.uint8)
        data_sample = data_sample.cpu()
        truth = self._truth_of(data_sample, image.shape[:2]) if draw_gt else None
        if not draw_pred and 'ori_points' in data_sample:
            data_sample = _without_predictions(data_sample)
        picture = draw_stage1(image, data_sample, truth, palette=self._palette())
        self.set_image(picture)
        if show:
            show_picture(self, picture, title=name, wait_time=wait_time)
        if out_file is not None:
            write_png(out_file, picture)
        else:
            self.add_image(name, picture, step)

    def _palette(self) -> Palette | None:
        meta: Mapping[str, Any] = self.dataset_meta or {}
        classes, palette = meta.get('classes'), meta.get('palette')
        if isinstance(palette, Sequence) and not isinstance(palette, str):
            return palette
        return None if classes is None else distinct_colors(len(classes))

    def _truth_of(self, data_sample: DetDataSample, size: tuple[int, int]) -> list[dict] | None:
        """Return COCO annotations of the truth of an image of ``(H, W)``, None if unknown."""
        if self._truth is not None:
            return [
                {**annotation, 'segmentation': self._truth.rle_of(annotation)}
                for annotation in self._truth.annotations_of(data_sample.img_id)
            ]
        masks = data_sample.get('gt_instances', {}).get('masks')
        if masks is None:
            return None
        arrays = masks.to_ndarray() if hasattr(masks, 'to_ndarray') else np.asarray(masks)
        return [
            {'segmentation': encode_rle(_resize_mask(mask, size))} for mask in arrays.astype(bool)
        ]


def _resize_mask(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bring a mask from the frame of the input to that of the image, ``(H, W)``."""
    values = mask.astype(np.uint8)
    return cv2.resize(values, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT) > 0


def _has_points(data_sample: DetDataSample) -> bool:
    return 'ori_points' in data_sample or 'points' in data_sample.get('pred_instances', {})


def _without_predictions(data_sample: DetDataSample) -> DetDataSample:
    sample = data_sample.clone()
    for name in ('pred_instances', 'dropped_points', 'pred_sem_seg', 'pred_offset'):
        if name in sample:
            delattr(sample, name)
    return sample
