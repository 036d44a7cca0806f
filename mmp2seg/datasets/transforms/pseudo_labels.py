"""Loading and packing of pseudo labels for stage 2."""

import numpy as np
import torch
from mmdet.datasets.transforms import FilterAnnotations, LoadAnnotations, PackDetInputs

from mmp2seg.datasets.transforms.loading import read_semantic_map
from mmp2seg.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadPseudoLabels(LoadAnnotations):
    """mmdet's LoadAnnotations, for pseudo labels.

    It numbers the instances, for :class:`PackPseudoLabels`, reads semantic maps of any kind that
    stage 1 reads (mmdet's turns a palette into colours), and has boxes and masks on by default.

    Added Keys, beyond mmdet's:

    - gt_instances_ids ((N,) int64, index in ``instances``; mmdet's RandomCrop filters this key)

    Args:
        with_mask: load masks, as bitmaps.
        others: as of mmdet's ``LoadAnnotations``; maps are read without ``imdecode_backend``.

    Raises:
        ValueError: ``reduce_zero_label``, 0 is the background of our maps.
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
            ValueError: there is none, it is no single-channel image, or of another size.
            FileNotFoundError: its file does not exist.
        """
        path = results.get('seg_map_path')
        if path is None:
            raise ValueError(
                f"{results['img_path']}: expected a semantic map, but the dataset's data_prefix "
                "has no 'seg'"
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
    """mmdet's FilterAnnotations, which filters ``gt_instances_ids`` as well.

    A crop can cut off all of a mask and leave a part of its box; such an instance has a box without
    an extent, and a box loss that is no number. Arguments as of mmdet's ``FilterAnnotations``.
    """

    def transform(self, results: dict) -> dict | None:
        """Filter the instances; None if none is left and ``keep_empty``."""
        ids, ignored = results['gt_instances_ids'], results['gt_ignore_flags']
        # mmdet's tells what it keeps by the keys it knows alone
        filtered = super().transform({**results, 'gt_ignore_flags': np.arange(len(ids))})
        if filtered is None:
            return None
        kept = filtered['gt_ignore_flags']
        return {**filtered, 'gt_ignore_flags': ignored[kept], 'gt_instances_ids': ids[kept]}


@TRANSFORMS.register_module()
class PackPseudoLabels(PackDetInputs):
    """mmdet's PackDetInputs, whose ``gt_instances`` also have ``scores``, (N,) float32.

    Required Keys, beyond mmdet's:

    - instances (with ``score``, of :class:`mmp2seg.datasets.PseudoLabelCocoDataset`)
    - gt_instances_ids (of :class:`LoadPseudoLabels`)

    Transforms that drop or add instances must do the same to ``gt_instances_ids``, as mmdet's
    RandomCrop and :class:`FilterPseudoLabels` do. mmdet's FilterAnnotations does not, nor do those
    that mix images (Mosaic, MixUp, CopyPaste). What does not fit is an error, but an instance in
    the place of another one of its class is not noticed.

    Args:
        others: as of mmdet's ``PackDetInputs``.
    """

    def transform(self, results: dict) -> dict:
        """Pack the sample.

        Raises:
            ValueError: ids or scores are missing, or the ids are not those of the labels.
        """
        packed = super().transform(results)
        ids = self._ids_of(results)
        if 'gt_ignore_flags' in results:
            ids = ids[~results['gt_ignore_flags']]
        scores = [self._score_of(results, index) for index in ids]
        packed['data_samples'].gt_instances.scores = torch.tensor(scores, dtype=torch.float32)
        return packed

    def _ids_of(self, results: dict) -> np.ndarray:
        ids, labels = results.get('gt_instances_ids'), results['gt_bboxes_labels']
        if ids is None:
            raise ValueError('PackPseudoLabels expected gt_instances_ids, of LoadPseudoLabels')
        expected = [results['instances'][index]['bbox_label'] for index in ids]
        if expected != labels.tolist():
            raise ValueError(
                f'{results.get("img_path", "a sample")}: expected the labels {expected} of the '
                f'instances in gt_instances_ids, got {labels.tolist()}; a transform of the '
                'pipeline changed the instances without them (mmdet: Mosaic, MixUp, CopyPaste; '
                'FilterAnnotations, which mmp2seg.FilterPseudoLabels replaces)'
            )
        return ids

    def _score_of(self, results: dict, index: int) -> float:
        instance = results['instances'][index]
        if 'score' not in instance:
            raise ValueError(
                f'{results.get("img_path", "a sample")}: expected instances with scores, those of '
                'mmp2seg.PseudoLabelCocoDataset'
            )
        return instance['score']
