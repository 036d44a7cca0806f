"""Pack a sample for the model."""

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData, PixelData

from mmp2seg.registry import TRANSFORMS

META_KEYS = (
    'img_id',
    'img_path',
    'file_name',
    'ori_shape',
    'img_shape',
    'scale_factor',
    'flip',
    'flip_direction',
)


@TRANSFORMS.register_module()
class PackPointInputs(BaseTransform):
    """Pack image, points, weak map and regions; :mod:`mmp2seg.structures.fields` lists the fields.

    Required Keys:

    - img
    - gt_bboxes (PointBoxes), gt_bboxes_labels, gt_instances_ids
    - ori_points (optional; inference needs them)
    - gt_seg_map (optional)
    - gt_regions (optional; training needs them)
    - gt_masks, instances (optional; true masks and boxes of points)

    Args:
        meta_keys: keys of ``results`` that become the data sample's metainfo.
    """

    def __init__(self, *, meta_keys: tuple[str, ...] = META_KEYS) -> None:
        self.meta_keys = meta_keys

    def transform(self, results: dict) -> dict:
        """Return ``dict(inputs=(3, H, W) uint8 tensor, data_samples=DetDataSample)``."""
        sample = DetDataSample(
            metainfo={key: results[key] for key in self.meta_keys if key in results}
        )
        sample.gt_instances = InstanceData(
            points=results['gt_bboxes'].tensor,
            labels=torch.from_numpy(results['gt_bboxes_labels']),
            point_ids=torch.from_numpy(results['gt_instances_ids']),
        )
        if 'gt_seg_map' in results:
            semantic_map = np.ascontiguousarray(results['gt_seg_map'])
            sample.gt_sem_seg = PixelData(sem_seg=torch.from_numpy(semantic_map)[None])
        if 'gt_regions' in results:
            regions = results['gt_regions']
            sample.gt_region_map = PixelData(region_map=regions.region_map[None])
            sample.gt_regions = InstanceData(labels=regions.labels, areas=regions.areas)
        if 'gt_masks' in results:
            self._pack_given_masks(results, sample)
        if 'ori_points' in results:
            sample.ori_points = results['ori_points']
        image = np.ascontiguousarray(results['img'].transpose(2, 0, 1))
        return dict(inputs=torch.from_numpy(image), data_samples=sample)

    def _pack_given_masks(self, results: dict, sample: DetDataSample) -> None:
        """Pack the masks and boxes of the points that are left."""
        kinds = {one['point_id']: one.get('supervision') for one in results['instances']}
        left = [kinds[number] for number in results['gt_instances_ids'].tolist()]
        indices = [index for index, kind in enumerate(left) if kind is not None]
        masks = results['gt_masks'].masks[indices]
        # the image may be padded: mmdet's Pad pads the masks too
        sample.gt_given_masks = PixelData(limits=torch.from_numpy(masks > 0))
        sample.gt_given = InstanceData(
            indices=torch.tensor(indices, dtype=torch.int64),
            is_mask=torch.tensor([left[index] == 'mask' for index in indices], dtype=torch.bool),
        )

    def __repr__(self) -> str:
        return f'{type(self).__name__}(meta_keys={self.meta_keys})'
