"""Shift points randomly, to simulate inaccurate clicks."""

import numpy as np
import torch
from mmcv.transforms import BaseTransform

from mmp2seg.ops.coords import keep_off_border, points_inside
from mmp2seg.registry import TRANSFORMS
from mmp2seg.structures import PointBoxes


@TRANSFORMS.register_module()
class DriftPoints(BaseTransform):
    """Move each point by Gaussian noise (table 13 of the paper).

    The drift of a point depends only on the seed, the id of its image and its own id. So it is the
    same in every epoch, in training and at inference, and in every worker. This step belongs right
    after ``LoadPointAnnotations``. A point that would leave the image moves to the nearest pixel
    centre inside. For a point that drifts off its region, the labeler looks for a region as for any
    other point.

    The pseudo labels report the moved points. To compare them with the truth, match by ``'order'``
    (VOC layout) or ``'point_id'`` (COCO), not by ``'point'``.

    Required Keys:

    - gt_bboxes (PointBoxes)
    - ori_points
    - img_id
    - img_shape
    - ori_shape

    Modified Keys:

    - gt_bboxes
    - ori_points

    Args:
        sigma: standard deviation of x and of y, in pixels of the image file; 0 moves nothing.
        seed: seed of the noise, not negative.

    Raises:
        ValueError: ``sigma`` or ``seed`` is negative. When called: the image has already been
            resized, cropped or flipped.
    """

    def __init__(self, *, sigma: float, seed: int = 0) -> None:
        if not sigma >= 0:
            raise ValueError(f'expected sigma >= 0 pixels, got {sigma}')
        if seed < 0:
            raise ValueError(f'expected seed >= 0, got {seed}')
        self.sigma = sigma
        self.seed = seed

    def transform(self, results: dict) -> dict:
        """Move the points in ``results``."""
        if results['img_shape'][:2] != results['ori_shape'][:2] or results.get('flip', False):
            raise ValueError(
                f'{results.get("img_path")}: expected DriftPoints before the image is resized, '
                'cropped or flipped'
            )
        height, width = results['img_shape'][:2]
        points = results['ori_points'].points
        drift = self._drift(results['img_id'], results['ori_points'].point_ids.tolist())
        moved = points + torch.from_numpy(drift)
        # A point that was outside before stays outside and is reported as such.
        left = torch.from_numpy(
            points_inside(points.numpy(), height, width)
            & ~points_inside(moved.numpy(), height, width)
        )
        last = moved.new_tensor([width - 0.5, height - 0.5])
        moved[left] = torch.minimum(moved[left].clamp(min=0.5), last)
        results['ori_points'].points = moved
        results['gt_bboxes'] = PointBoxes(keep_off_border(moved, height, width).float())
        return results

    def _drift(self, image_id: int, point_ids: list[int]) -> np.ndarray:
        """Draw the drift of each point, ``(N, 2)`` float64."""
        drift = np.zeros((len(point_ids), 2))
        for row, point_id in zip(drift, point_ids, strict=True):
            stream = np.random.default_rng([self.seed, image_id, point_id])
            row[:] = self.sigma * stream.standard_normal(2)
        return drift

    def __repr__(self) -> str:
        return f'{type(self).__name__}(sigma={self.sigma}, seed={self.seed})'
