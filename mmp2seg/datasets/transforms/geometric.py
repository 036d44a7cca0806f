"""mmdet's RandomAffine and CachedMosaic, with the weak semantic map moved along.

mmdet's own move image and boxes alone. On data with points and a weak map they stop with
``KeyError: 'gt_ignore_flags'``, a key that ``LoadPointAnnotations`` leaves out; these do the rest.
"""

import cv2
import numpy as np
from mmdet.datasets.transforms import CachedMosaic as MMDetCachedMosaic
from mmdet.datasets.transforms import RandomAffine as MMDetRandomAffine

from mmp2seg.ops.components import IGNORE
from mmp2seg.ops.semantic_map import resize_nearest
from mmp2seg.registry import TRANSFORMS

_TO_PIXEL_INDEX = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])
_FROM_PIXEL_INDEX = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])


@TRANSFORMS.register_module()
class RandomAffine(MMDetRandomAffine):
    """mmdet's random rotation, scaling, shear and translation of image, points and weak map.

    Required Keys:

    - img
    - gt_bboxes (PointBoxes), gt_bboxes_labels, gt_instances_ids
    - gt_seg_map (optional)

    Modified Keys:

    - all of them: what comes from outside the image is 255 in the map, points that leave it go

    - img_shape

    Args:
        all: as of :class:`mmdet.datasets.transforms.RandomAffine`; ``bbox_clip_border`` has no
            effect on points.
    """

    def transform(self, results: dict) -> dict:
        """Transform ``results``."""
        height = results['img'].shape[0] + self.border[1] * 2
        width = results['img'].shape[1] + self.border[0] * 2
        matrix = self._get_random_homography_matrix(height, width)
        size = (width, height)
        results['img'] = cv2.warpPerspective(
            results['img'], matrix, dsize=size, borderValue=self.border_val
        )
        results['img_shape'] = (height, width)
        if 'gt_seg_map' in results:
            results['gt_seg_map'] = cv2.warpPerspective(
                results['gt_seg_map'],
                matrix,
                dsize=size,
                flags=cv2.INTER_NEAREST,
                borderValue=IGNORE,
            )
        # OpenCV's matrix maps pixel indices, points have their pixel's centre at + 0.5.
        results['gt_bboxes'].project_(_FROM_PIXEL_INDEX @ matrix @ _TO_PIXEL_INDEX)
        inside = results['gt_bboxes'].is_inside((height, width)).numpy()
        for key in ('gt_bboxes', 'gt_bboxes_labels', 'gt_instances_ids'):
            results[key] = results[key][inside]
        results['gt_bboxes'].clip_((height, width))
        return results


@TRANSFORMS.register_module()
class CachedMosaic(MMDetCachedMosaic):
    """mmdet's mosaic of four images, with their points and weak maps.

    The ids of the points stay those of their own images, so that an id may occur several times.
    What is no image is 255 in the map. The result has twice the size of ``img_scale``; the first
    four images that a worker sees pass as they are. It has to be followed by a crop and a pad to a
    fixed size.

    Required Keys:

    - img
    - gt_bboxes (PointBoxes), gt_bboxes_labels, gt_instances_ids
    - gt_seg_map (optional)

    Modified Keys:

    - all of them, and img_shape

    Args:
        all: as of :class:`mmdet.datasets.transforms.CachedMosaic`.
    """

    def transform(self, results: dict) -> dict:
        """Transform ``results``."""
        self._indices, self._places = [], []  # what mmdet's method draws
        # mmdet's method joins and filters these flags, whatever they are, along with the points.
        results['gt_ignore_flags'] = results['gt_instances_ids']
        results = super().transform(results)
        results['gt_instances_ids'] = results.pop('gt_ignore_flags')
        results.pop('ori_points', None)  # those of one of the four images
        if self._places and 'gt_seg_map' in results:
            others = [self.results_cache[index]['gt_seg_map'] for index in self._indices]
            results['gt_seg_map'] = self._mosaic_map([results['gt_seg_map'], *others])
        return results

    def get_indexes(self, cache: list) -> list:
        """Indices of the three other images, kept for their maps."""
        self._indices = super().get_indexes(cache)
        return self._indices

    def _mosaic_combine(self, loc, center_position_xy, img_shape_wh):
        """Where to paste and to crop a resized image, kept for its map."""
        place = super()._mosaic_combine(loc, center_position_xy, img_shape_wh)
        self._places.append((place, img_shape_wh))
        return place

    def _mosaic_map(self, maps: list[np.ndarray]) -> np.ndarray:
        """``(2 H, 2 W)`` map from those of the four images."""
        width, height = self.img_scale
        mosaic = np.full((2 * height, 2 * width), IGNORE, dtype=np.uint8)
        for semantic_map, ((paste, crop), (map_width, map_height)) in zip(
            maps, self._places, strict=True
        ):
            resized = resize_nearest(semantic_map, (map_height, map_width))
            mosaic[paste[1] : paste[3], paste[0] : paste[2]] = resized[
                crop[1] : crop[3], crop[0] : crop[2]
            ]
        return mosaic
