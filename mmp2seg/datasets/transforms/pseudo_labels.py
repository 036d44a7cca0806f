"""Load, filter and pack pseudo labels for stage 2."""

import numpy as np
import torch
from mmdet.datasets.transforms import FilterAnnotations, LoadAnnotations, PackDetInputs

from mmp2seg.datasets.point_supervision import SUPERVISION_KINDS
from mmp2seg.datasets.transforms.loading import read_semantic_map
from mmp2seg.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadPseudoLabels(LoadAnnotations):
    """mmdet's LoadAnnotations, for pseudo labels.

    It numbers the instances for :class:`PackPseudoLabels` and loads boxes and masks by default. It
    reads all formats of semantic maps that stage 1 reads; mmdet's transform would convert palette
    indices to colours.

    Added Keys, beyond mmdet's:

    - gt_instances_ids ((N,) int64, index in ``instances``; mmdet's RandomCrop filters this key)

    Args:
        with_mask: load masks, as bitmaps.
        **kwargs: forwarded to mmdet's ``LoadAnnotations``. ``imdecode_backend`` is not used for
            maps.

    Raises:
        ValueError: ``reduce_zero_label`` is set; 0 is background in our maps.
    """

    def __init__(self, *, with_mask: bool = True, **kwargs) -> None:
        super().__init__(with_mask=with_mask, **kwargs)
        if self.reduce_zero_label:
            raise ValueError('LoadPseudoLabels expected reduce_zero_label=False: 0 is background')

    def transform(self, results: dict) -> dict:
        """Add the annotations to ``results``."""
        results = super().transform(results)
        results['gt_instances_ids'] = np.arange(len(results['instances']))
        return results

    def _load_seg_map(self, results: dict) -> None:
        """Read the semantic map.

        Raises:
            ValueError: the dataset has no maps, the map has several channels, or its size differs
                from the image's.
            FileNotFoundError: the map file does not exist.
        """
        path = results.get('seg_map_path')
        if path is None:
            raise ValueError(
                f'{results["img_path"]}: expected a semantic map, got a data_prefix of the dataset '
                "without 'seg'"
            )
        semantic_map = read_semantic_map(path, backend_args=self.backend_args)
        if semantic_map.shape != tuple(results['ori_shape'][:2]):
            raise ValueError(
                f'{path}: expected a map of the size {tuple(results["ori_shape"][:2])} of its '
                f'image, got {semantic_map.shape}'
            )
        results['gt_seg_map'] = semantic_map
        results['ignore_index'] = self.ignore_index


@TRANSFORMS.register_module()
class FilterPseudoLabels(FilterAnnotations):
    """mmdet's FilterAnnotations, for pseudo labels: it also filters ``gt_instances_ids``.

    A crop can remove the whole mask of an instance but keep a part of its box. Then the recomputed
    box has no extent and its loss is nan, so such instances must be removed.

    Args:
        *args: forwarded to mmdet's ``FilterAnnotations``.
        **kwargs: forwarded to mmdet's ``FilterAnnotations``.
    """

    def transform(self, results: dict) -> dict | None:
        """Filter the instances; return None if ``keep_empty`` is set and none is left."""
        ids, ignored = results['gt_instances_ids'], results['gt_ignore_flags']
        # mmdet's filter handles only the keys it knows, so pass the indices as one of them
        filtered = super().transform({**results, 'gt_ignore_flags': np.arange(len(ids))})
        if filtered is None:
            return None
        kept = filtered['gt_ignore_flags']
        return {**filtered, 'gt_ignore_flags': ignored[kept], 'gt_instances_ids': ids[kept]}


@TRANSFORMS.register_module()
class PackPseudoLabels(PackDetInputs):
    """mmdet's PackDetInputs, for pseudo labels: it adds to ``gt_instances``.

    ``scores``: (N,) float32. ``supervision``: (N,) int64, the place of an instance's kind in
    :data:`mmp2seg.datasets.point_supervision.SUPERVISION_KINDS`.

    Required Keys, beyond mmdet's:

    - instances (with ``score`` and, unless it is ``'point'``, ``supervision``, from
      :class:`mmp2seg.datasets.PseudoLabelCocoDataset`)
    - gt_instances_ids (from :class:`LoadPseudoLabels`)

    Transforms that drop or add instances must update ``gt_instances_ids``. mmdet's RandomCrop and
    :class:`FilterPseudoLabels` do so; mmdet's FilterAnnotations and transforms that mix images
    (Mosaic, MixUp, CopyPaste) do not. If the labels of the instances do not match their ids, an
    error is raised. An exchange of two instances of the same class is not detected.

    Args:
        *args: forwarded to mmdet's ``PackDetInputs``.
        **kwargs: forwarded to mmdet's ``PackDetInputs``.
    """

    def transform(self, results: dict) -> dict:
        """Pack the sample.

        Raises:
            ValueError: ids or scores are missing, or the labels do not match the ids.
        """
        packed = super().transform(results)
        ids = self._ids_of(results)
        if 'gt_ignore_flags' in results:
            ids = ids[~results['gt_ignore_flags']]
        scores = [self._score_of(results, index) for index in ids]
        kinds = [results['instances'][index].get('supervision', 'point') for index in ids]
        instances = packed['data_samples'].gt_instances
        instances.scores = torch.tensor(scores, dtype=torch.float32)
        instances.supervision = torch.tensor(
            [SUPERVISION_KINDS.index(kind) for kind in kinds], dtype=torch.int64
        )
        return packed

    def _ids_of(self, results: dict) -> np.ndarray:
        ids, labels = results.get('gt_instances_ids'), results['gt_bboxes_labels']
        if ids is None:
            raise ValueError('PackPseudoLabels expected gt_instances_ids from LoadPseudoLabels')
        expected = [results['instances'][index]['bbox_label'] for index in ids]
        if expected != labels.tolist():
            raise ValueError(
                f'{results.get("img_path", "a sample")}: expected the labels {expected} of the '
                f'instances in gt_instances_ids, got {labels.tolist()}; a transform of the '
                "pipeline changed the instances without their ids: remove mmdet's Mosaic, MixUp "
                'and CopyPaste, and use mmp2seg.FilterPseudoLabels instead of FilterAnnotations'
            )
        return ids

    def _score_of(self, results: dict, index: int) -> float:
        instance = results['instances'][index]
        if 'score' not in instance:
            raise ValueError(
                f'{results.get("img_path", "a sample")}: expected instances with scores from '
                'mmp2seg.PseudoLabelCocoDataset'
            )
        return instance['score']
