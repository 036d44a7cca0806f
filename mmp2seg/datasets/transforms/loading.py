"""Load points and weak semantic maps."""

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmdet.structures.mask import BitmapMasks
from mmengine.fileio import get
from mmengine.structures import InstanceData

from mmp2seg.datasets.point_supervision import draw_true_classes
from mmp2seg.files.index_png import decode_index_map
from mmp2seg.ops.coords import keep_off_border, points_inside
from mmp2seg.ops.image_edge import onto_last_pixel
from mmp2seg.ops.rle import decode_rle
from mmp2seg.ops.semantic_map import count_values, is_scaled, resize_nearest
from mmp2seg.registry import TRANSFORMS
from mmp2seg.structures import PointBoxes


@TRANSFORMS.register_module()
class LoadPointAnnotations(BaseTransform):
    """Load the points and the weak semantic map of an image.

    Required Keys:

    - img_path
    - img_shape
    - instances (list of dict with ``point`` (x, y), ``bbox_label``, ``point_id``; for a true mask
      or box also ``supervision`` and ``mask``)
    - complete (optional, all objects of the image have true masks)
    - seg_map_path (if ``with_seg``)
    - points_path (optional, named in errors)
    - num_classes (optional, to check the map's values)
    - height, width (optional, what the annotation file says of the image's size)

    Added Keys:

    - ori_points (InstanceData: ``points`` (N, 2) float64, ``labels``, ``point_ids``; the points as
      the file gives them, except that those on the right or lower edge are on the last pixel;
      geometric transforms do not move them)
    - gt_bboxes (PointBoxes, (N, 2) float32; the same points, moved by later transforms)
    - gt_bboxes_labels ((N,) int64)
    - gt_instances_ids ((N,) int64, the point ids; mmdet's RandomCrop filters this key too)
    - gt_masks (BitmapMasks (N, H, W), if an instance has a mask or a box: the pixels of the mask or
      the filled box, none for a point alone)
    - gt_seg_map ((H, W) uint8, if ``with_seg``; with the true masks drawn into it)

    Args:
        with_seg: load the semantic map. Training needs it, inference does not.
        allow_outside: keep points outside the image, which inference reports as dropped. By
            default, they are an error.
        resize_seg_map: resize a map to the size of the image if both have the same aspect ratio (to
            within a pixel); each pixel takes the nearest value. Any other difference in size is an
            error.
        backend_args: see :func:`mmengine.fileio.get`.
    """

    def __init__(
        self,
        *,
        with_seg: bool = True,
        allow_outside: bool = False,
        resize_seg_map: bool = False,
        backend_args: dict | None = None,
    ) -> None:
        self.with_seg = with_seg
        self.allow_outside = allow_outside
        self.resize_seg_map = resize_seg_map
        self.backend_args = backend_args

    def transform(self, results: dict) -> dict:
        """Add points and map to ``results``.

        Raises:
            ValueError: the annotation file states another size of the image, a point is outside the
                image, a true mask has another size than the image, the map has another size (see
                ``resize_seg_map``) or a value that is not a class, or the map file is not a
                single-channel image.
            FileNotFoundError: the map file does not exist.
        """
        _check_stated_size(results)
        self._load_points(results)
        if self.with_seg:
            results['gt_seg_map'] = draw_true_classes(
                self._load_semantic_map(results),
                results.get('instances', []),
                complete=results.get('complete', False),
            )
            results.setdefault('seg_fields', []).append('gt_seg_map')
        return results

    def _load_points(self, results: dict) -> None:
        instances = results.get('instances', [])
        points = np.array([instance['point'] for instance in instances], dtype=np.float64)
        points = onto_last_pixel(points, *results['img_shape'][:2])
        if not self.allow_outside:
            _check_inside(points, results)
        labels = np.array([instance['bbox_label'] for instance in instances], dtype=np.int64)
        point_ids = np.array([instance['point_id'] for instance in instances], dtype=np.int64)
        results['ori_points'] = InstanceData(
            points=torch.from_numpy(points),
            labels=torch.from_numpy(labels),
            point_ids=torch.from_numpy(point_ids),
        )
        # Compare in float64, in which 499.99999 from a file is still less than a width of 500.
        moved = keep_off_border(torch.from_numpy(points), *results['img_shape'][:2])
        results['gt_bboxes'] = PointBoxes(moved.float())
        results['gt_bboxes_labels'] = labels.copy()
        results['gt_instances_ids'] = point_ids.copy()
        if any('supervision' in instance for instance in instances):
            self._load_given_masks(results)

    def _load_given_masks(self, results: dict) -> None:
        instances, size = results['instances'], tuple(results['img_shape'][:2])
        masks = np.zeros((len(instances), *size), np.uint8)
        for index, instance in enumerate(instances):
            if 'supervision' not in instance:
                continue
            if tuple(instance['mask']['size']) != size:
                height, width = instance['mask']['size']
                raise ValueError(
                    f'{results.get("points_path", results["img_path"])}: point '
                    f'{instance["point_id"]}: expected a mask of {size[1]} x {size[0]} pixels like '
                    f'the image {results["img_path"]}, got {width} x {height}'
                )
            masks[index] = decode_rle(instance['mask'])
        results['gt_masks'] = BitmapMasks(masks, *size)
        points = results['ori_points']
        points.supervision = [instance.get('supervision', 'point') for instance in instances]
        points.given = [instance.get('mask') for instance in instances]

    def _load_semantic_map(self, results: dict) -> np.ndarray:
        path = results.get('seg_map_path')
        if path is None:
            raise ValueError(
                f'{results["img_path"]}: expected a weak semantic map, but the dataset has no '
                "data_prefix 'seg_map'"
            )
        semantic_map = read_semantic_map(path, backend_args=self.backend_args)
        size = tuple(results['img_shape'][:2])
        if semantic_map.shape != size:
            is_resizable = is_scaled(semantic_map.shape, size)
            if not (is_resizable and self.resize_seg_map):
                raise ValueError(_size_error(semantic_map, results, is_resizable=is_resizable))
            semantic_map = resize_nearest(semantic_map, size)
        num_classes = results.get('num_classes')
        if num_classes is not None:
            try:
                count_values(semantic_map, num_classes=num_classes)
            except ValueError as error:
                raise ValueError(f'{path}: {error}') from error
        return semantic_map

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(with_seg={self.with_seg}, allow_outside={self.allow_outside}, '
            f'resize_seg_map={self.resize_seg_map})'
        )


def read_semantic_map(path: str, *, backend_args: dict | None = None) -> np.ndarray:
    """Read a semantic map from an 8-bit palette or grey image.

    Args:
        path: path of the image file, on any backend of :mod:`mmengine.fileio`.
        backend_args: see :func:`mmengine.fileio.get`.

    Returns:
        np.ndarray: ``(H, W)`` uint8, the palette indices or grey values as stored.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: it is not a single-channel image; see
            :func:`mmp2seg.files.index_png.decode_index_map`.
    """
    try:
        data = get(path, backend_args=backend_args)
    except FileNotFoundError as error:
        raise FileNotFoundError(f'{path}: the semantic map does not exist') from error
    return decode_index_map(data, where=path)


def _size_error(semantic_map: np.ndarray, results: dict, *, is_resizable: bool) -> str:
    height, width = results['img_shape'][:2]
    advice = 'the aspect ratio differs too'
    if is_resizable:
        advice = (
            'the aspect ratio agrees: resize it when loading, with '
            'LoadPointAnnotations(resize_seg_map=True), or once, with '
            'tools/dataset_converters/import_semantic_maps.py'
        )
    return (
        f'{results["seg_map_path"]}: expected a map of {width} x {height} like the image '
        f'{results["img_path"]}, got {semantic_map.shape[1]} x {semantic_map.shape[0]} ({advice})'
    )


def _check_stated_size(results: dict) -> None:
    stated, size = (results.get('height'), results.get('width')), tuple(results['img_shape'][:2])
    if None not in stated and stated != size:
        raise ValueError(
            f'{results["img_path"]}: expected {stated[1]} x {stated[0]} pixels (width x height) as '
            f'in {results.get("points_path")}, got {size[1]} x {size[0]}'
        )


def _check_inside(points_xy: np.ndarray, results: dict) -> None:
    height, width = results['img_shape'][:2]
    outside = np.flatnonzero(~points_inside(points_xy, height, width))
    if outside.size:
        source = results.get('points_path', results['img_path'])
        x, y = points_xy[outside[0]].tolist()
        point_id = results['instances'][outside[0]]['point_id']
        raise ValueError(
            f'{source}: expected points inside the {width} x {height} image '
            f'{results["img_path"]}, got point {point_id} at ({x:g}, {y:g})'
        )
