"""Points that miss their place, as hasty clicks do."""

import numpy as np
import torch
from mmcv.transforms import BaseTransform

from mmp2seg.registry import TRANSFORMS
from mmp2seg.structures import PointBoxes


@TRANSFORMS.register_module()
class DriftPoints(BaseTransform):
    """Move each point by Gaussian noise (table 13 of the paper).

    The drift of a point depends on the seed, its image's id and its own id alone: it is the same in
    every epoch, in training and at inference, on any worker. It belongs right after
    ``LoadPointAnnotations``. A point that would leave the image stays on its outermost pixel; where
    a point drifts off its region, the labeler looks for the region as for any other point.

    The pseudo labels have the moved points: to compare them with the truth, match by ``'order'``
    (VOC layout) or ``'point_id'`` (COCO), not by ``'point'``.

    Required Keys:

    - gt_bboxes (PointBoxes)
    - gt_instances_ids
    - img_id
    - img_shape
    - ori_shape

    Modified Keys:

    - gt_bboxes

    Args:
        sigma: standard deviation of x and of y, in pixels of the image file; 0 moves nothing.
        seed: of the noise, not negative.

    Raises:
        ValueError: for a negative ``sigma`` or ``seed``; when called, for an image that a
            transform has resized or flipped before.
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
        points = results['gt_bboxes'].numpy()
        moved = points + self._drift(results['img_id'], results['gt_instances_ids'])
        # What was outside before stays there, to be reported as such.
        inside = results['gt_bboxes'].is_inside((height, width)).numpy()[:, None]
        moved = np.where(inside, np.clip(moved, 0.5, [width - 0.5, height - 0.5]), moved)
        results['gt_bboxes'] = PointBoxes(torch.from_numpy(moved.astype(np.float32)))
        return results

    def _drift(self, image_id: int, point_ids: np.ndarray) -> np.ndarray:
        """Drift of each point, ``(N, 2)`` float64."""
        drift = np.zeros((len(point_ids), 2))
        for row, point_id in zip(drift, point_ids.tolist(), strict=True):
            stream = np.random.default_rng([self.seed, image_id, point_id])
            row[:] = self.sigma * stream.standard_normal(2)
        return drift

    def __repr__(self) -> str:
        return f'{type(self).__name__}(sigma={self.sigma}, seed={self.seed})'
