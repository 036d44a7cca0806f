"""mmdet's RandomAffine and CachedMosaic for data with points and a weak semantic map.

mmdet's transforms do not move the semantic map. On data with points they fail with
``KeyError: 'gt_ignore_flags'``, because ``LoadPointAnnotations`` does not set this key.
"""

import cv2
import numpy as np
from mmdet.datasets.transforms import CachedMosaic as MMDetCachedMosaic
from mmdet.datasets.transforms import RandomAffine as MMDetRandomAffine
from mmdet.structures.mask import BitmapMasks

from mmp2seg.ops.components import IGNORE
from mmp2seg.ops.semantic_map import resize_nearest
from mmp2seg.registry import TRANSFORMS

_TO_PIXEL_INDEX = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])
_FROM_PIXEL_INDEX = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])


@TRANSFORMS.register_module()
class RandomAffine(MMDetRandomAffine):
    """Rotate, scale, shear and translate image, points and weak map randomly.

    Required Keys:

    - img
    - gt_bboxes (PointBoxes), gt_bboxes_labels, gt_instances_ids
    - gt_seg_map (optional)
    - gt_masks (optional, of points with a true mask or box)

    Modified Keys:

    - all required keys; the map is 255 outside the original image, and points outside the new image
      are dropped
    - img_shape

    Args:
        *args: forwarded to :class:`mmdet.datasets.transforms.RandomAffine`.
        **kwargs: forwarded to :class:`mmdet.datasets.transforms.RandomAffine`.
            ``bbox_clip_border`` has no effect on points.
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
        # OpenCV's matrix transforms pixel indices; in the points' coordinates, centres are at +0.5.
        results['gt_bboxes'].project_(_FROM_PIXEL_INDEX @ matrix @ _TO_PIXEL_INDEX)
        inside = results['gt_bboxes'].is_inside((height, width)).numpy()
        if 'gt_masks' in results:
            masks = [
                cv2.warpPerspective(mask, matrix, dsize=size, flags=cv2.INTER_NEAREST)
                for mask in results['gt_masks'].masks[inside]
            ]
            results['gt_masks'] = BitmapMasks(masks, height, width)
        for key in ('gt_bboxes', 'gt_bboxes_labels', 'gt_instances_ids'):
            results[key] = results[key][inside]
        results['gt_bboxes'].clip_((height, width))
        return results


@TRANSFORMS.register_module()
class CachedMosaic(MMDetCachedMosaic):
    """Combine four images with their points and weak maps to a mosaic.

    Points keep the ids that they have in their images, so an id can occur several times. Pixels
    outside the four images are 255 in the map. The result has twice the size of ``img_scale``, but
    a worker returns its first four images unchanged. Therefore the pipeline must crop and pad to a
    fixed size afterwards.

    Required Keys:

    - img
    - gt_bboxes (PointBoxes), gt_bboxes_labels, gt_instances_ids
    - gt_seg_map (optional)

    Modified Keys:

    - all required keys
    - img_shape

    Args:
        *args: forwarded to :class:`mmdet.datasets.transforms.CachedMosaic`.
        **kwargs: forwarded to :class:`mmdet.datasets.transforms.CachedMosaic`.

    Raises:
        ValueError: when called with an image that has true masks or boxes of points, because the
            ids of the four images' points can be the same.
    """

    def transform(self, results: dict) -> dict:
        """Transform ``results``."""
        if 'gt_masks' in results:
            raise ValueError(
                f'{results.get("img_path")}: CachedMosaic expected points alone, got true masks or '
                'boxes: take it out of the pipeline'
            )
        self._indices, self._places = [], []  # filled by mmdet's method
        # mmdet's method joins and filters gt_ignore_flags with the points, so pass the ids as these
        results['gt_ignore_flags'] = results['gt_instances_ids']
        results = super().transform(results)
        results['gt_instances_ids'] = results.pop('gt_ignore_flags')
        results.pop('ori_points', None)  # points of only one of the four images
        if self._places and 'gt_seg_map' in results:
            others = [self.results_cache[index]['gt_seg_map'] for index in self._indices]
            results['gt_seg_map'] = self._mosaic_map([results['gt_seg_map'], *others])
        return results

    def get_indexes(self, cache: list) -> list:
        """Draw the indices of the three other images and store them for their maps."""
        self._indices = super().get_indexes(cache)
        return self._indices

    def _mosaic_combine(self, loc, center_position_xy, img_shape_wh):
        """Compute where a resized image is cropped and pasted, and store it for the map."""
        place = super()._mosaic_combine(loc, center_position_xy, img_shape_wh)
        self._places.append((place, img_shape_wh))
        return place

    def _mosaic_map(self, maps: list[np.ndarray]) -> np.ndarray:
        """Join the maps of the four images to one map ``(2 H, 2 W)``."""
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
